"""The released `openai` SDK: chat completions, Responses, the older completions, embeddings."""

import json

import openai
import pytest
from world import API_KEY, BASE_URL, NEIGHBOUR_KEY, PIXEL, RESULT, SCHEMA, WEATHER, Said

SDK = openai.OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=20)
NEIGHBOUR = SDK.with_options(api_key=NEIGHBOUR_KEY)
STRANGER = SDK.with_options(api_key="vk-nobody-has-this-key-0000000000000")
FUNCTION = {"name": "get_weather", "description": "The weather of a city.", "parameters": WEATHER}
PICTURE = f"data:image/png;base64,{PIXEL}"
ERRORS = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    502: openai.InternalServerError,
}


class OpenAI:
    """What the four endpoints have in common."""

    name = "openai (Python)"
    errors = ERRORS
    broken = openai.APIError

    def status(self, error):
        return error.status_code

    def retry_after(self, error):
        return error.response.headers["retry-after"]


def usage(counts):
    if counts is None:
        return {}
    return {
        "input_tokens": counts.prompt_tokens,
        "cached_tokens": counts.prompt_tokens_details.cached_tokens if counts.prompt_tokens_details else 0,
        "output_tokens": counts.completion_tokens,
    }


class Chat(OpenAI):
    endpoint = "chat"
    tools = [{"type": "function", "function": FUNCTION}]

    def asked(self, question):
        return [{"role": "user", "content": question}]

    def text(self, model, question, sdk=SDK, **more):
        answer = sdk.chat.completions.create(model=model, messages=self.asked(question), **more)
        choice = answer.choices[0]
        return Said(choice.message.content, choice.finish_reason, **usage(answer.usage))

    def stranger(self, model, question):
        return self.text(model, question, sdk=STRANGER)

    def open(self, model, question, **more):
        return SDK.chat.completions.create(model=model, messages=self.asked(question), stream=True, **more)

    def stream(self, model, question):
        with SDK.chat.completions.stream(
            model=model, messages=self.asked(question), stream_options={"include_usage": True}
        ) as stream:
            for _ in stream:
                pass
            answer = stream.get_final_completion()
        choice = answer.choices[0]
        return Said(choice.message.content, choice.finish_reason, **usage(answer.usage))

    def loop(self, model, question, streamed):
        asked = {"model": model, "messages": self.asked(question), "tools": self.tools}
        if streamed:
            with SDK.chat.completions.stream(**asked) as stream:
                for _ in stream:
                    pass
                choice = stream.get_final_completion().choices[0]
        else:
            choice = SDK.chat.completions.create(**asked).choices[0]
        assert choice.finish_reason == "tool_calls"
        call = choice.message.tool_calls[0]
        assert call.function.name == "get_weather"
        # The model's turn goes back as it came, whatever extensions it holds.
        turns = [*asked["messages"], choice.message.model_dump(exclude_none=True)]
        turns.append({"role": "tool", "tool_call_id": call.id, "content": RESULT})
        last = SDK.chat.completions.create(model=model, messages=turns, tools=self.tools).choices[0]
        return Said(last.message.content, last.finish_reason, arguments=json.loads(call.function.arguments))

    def vision(self, model, question):
        parts = [{"type": "text", "text": question}, {"type": "image_url", "image_url": {"url": PICTURE}}]
        return self.text(model, parts)

    def schema(self, model, question):
        wanted = {"name": "forecast", "schema": SCHEMA, "strict": True}
        return self.text(model, question, response_format={"type": "json_schema", "json_schema": wanted})

    def abort(self, model, question):
        with self.open(model, question) as stream:
            next(chunk for chunk in stream if chunk.choices and chunk.choices[0].delta.content)

    def drain(self, model, question):
        with self.open(model, question) as stream:
            for _ in stream:
                pass


class Responses(OpenAI):
    endpoint = "responses"
    tools = [{"type": "function", **FUNCTION}]
    # The SDK hands the error event out as an event; the broken connection behind it raises, in the words of its HTTP client.
    broken = Exception

    def said(self, response):
        counts = response.usage
        return Said(
            response.output_text,
            response.status,
            input_tokens=counts.input_tokens,
            cached_tokens=counts.input_tokens_details.cached_tokens,
            output_tokens=counts.output_tokens,
        )

    def text(self, model, question, sdk=SDK, **more):
        return self.said(sdk.responses.create(model=model, input=question, **more))

    def stranger(self, model, question):
        return self.text(model, question, sdk=STRANGER)

    def streamed(self, **asked):
        with SDK.responses.stream(**asked) as stream:
            events = list(stream)
            response = stream.get_final_response()
        assert [event.sequence_number for event in events] == list(range(len(events)))
        return response

    def stream(self, model, question):
        return self.said(self.streamed(model=model, input=question))

    def loop(self, model, question, streamed):
        turns = [{"role": "user", "content": question}]
        asked = {"model": model, "input": turns, "tools": self.tools, "store": False}
        response = self.streamed(**asked) if streamed else SDK.responses.create(**asked)
        call = next(item for item in response.output if item.type == "function_call")
        assert call.name == "get_weather"
        turns += [item.model_dump(exclude_none=True) for item in response.output]
        turns.append({"type": "function_call_output", "call_id": call.call_id, "output": RESULT})
        last = SDK.responses.create(model=model, input=turns, tools=self.tools, store=False)
        return Said(last.output_text, last.status, arguments=json.loads(call.arguments))

    def vision(self, model, question):
        parts = [{"type": "input_text", "text": question}, {"type": "input_image", "image_url": PICTURE}]
        return self.text(model, [{"role": "user", "content": parts}])

    def schema(self, model, question):
        wanted = {"type": "json_schema", "name": "forecast", "schema": SCHEMA, "strict": True}
        return self.text(model, question, text={"format": wanted})

    def abort(self, model, question):
        with SDK.responses.create(model=model, input=question, stream=True) as stream:
            next(event for event in stream if event.type == "response.output_text.delta")

    def drain(self, model, question):
        with SDK.responses.create(model=model, input=question, stream=True) as stream:
            for _ in stream:
                pass


class Completions(OpenAI):
    endpoint = "completions"

    def text(self, model, question, sdk=SDK):
        answer = sdk.completions.create(model=model, prompt=question)
        return Said(answer.choices[0].text, answer.choices[0].finish_reason, **usage(answer.usage))

    def stranger(self, model, question):
        return self.text(model, question, sdk=STRANGER)

    def stream(self, model, question):
        chunks = list(
            SDK.completions.create(model=model, prompt=question, stream=True, stream_options={"include_usage": True})
        )
        choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
        text = "".join(choice.text for choice in choices)
        return Said(text, choices[-1].finish_reason, **usage(chunks[-1].usage))

    def abort(self, model, question):
        with SDK.completions.create(model=model, prompt=question, stream=True) as stream:
            next(chunk for chunk in stream if chunk.choices and chunk.choices[0].text)

    def drain(self, model, question):
        with SDK.completions.create(model=model, prompt=question, stream=True) as stream:
            for _ in stream:
                pass


class Embeddings(OpenAI):
    endpoint = "embeddings"

    def text(self, model, question, sdk=SDK):
        return sdk.embeddings.create(model=model, input=question)

    def stranger(self, model, question):
        return self.text(model, question, sdk=STRANGER)

    def vectors(self, model, texts):
        # Unasked, the SDK asks for base64 and decodes it.
        return [item.embedding for item in SDK.embeddings.create(model=model, input=texts).data]


class Media(OpenAI):
    """What passes unread."""

    endpoint = "media"

    def pictures(self, model, prompt):
        return [image.b64_json for image in SDK.images.generate(model=model, prompt=prompt, n=2).data]

    def edited(self, model, prompt):
        picture = ("a.png", b"\x89PNG the bytes of a picture")
        return [image.b64_json for image in SDK.images.edit(model=model, image=picture, prompt=prompt).data]

    def speech(self, model, text):
        return SDK.audio.speech.create(model=model, voice="alloy", input=text).content

    def transcription(self, model, prompt):
        # The file stands before the model in the form, as browsers may send it, too.
        sound = ("a.wav", b"RIFF\x00\r\n\xff" * 1000)
        return SDK.audio.transcriptions.create(file=sound, model=model, prompt=prompt).text

    def moderation(self, model, text):
        return [result.flagged for result in SDK.moderations.create(model=model, input=[text, "once more"]).results]

    def reranking(self, model, query):
        # OpenAI has nothing of the kind, so neither has its SDK a method.
        asked = {"model": model, "query": query, "documents": ["a", "b", "c"], "top_n": 2}
        return [result["index"] for result in SDK.post("/rerank", body=asked, cast_to=dict)["results"]]


class Stored(OpenAI):
    """What lies in the account that all callers share, where each key sees its own."""

    endpoint = "stored"

    def upload(self, provider, content):
        return SDK.files.create(
            file=("in.jsonl", content), purpose="batch", extra_headers={"x-headgate-provider": provider}
        )

    def files(self, provider, mark):
        file = self.upload(provider, mark.encode())
        here = {"extra_headers": {"x-headgate-provider": provider}}
        assert (file.filename, SDK.files.retrieve(file.id).id) == ("in.jsonl", file.id)
        assert SDK.files.content(file.id).content == mark.encode()
        assert file.id in [listed.id for listed in SDK.files.list(**here)]
        assert file.id not in [listed.id for listed in NEIGHBOUR.files.list(**here)]
        for ask in (NEIGHBOUR.files.retrieve, NEIGHBOUR.files.content, NEIGHBOUR.files.delete):
            self.is_not_there(ask, file.id)
        assert SDK.files.delete(file.id).deleted
        self.is_not_there(SDK.files.retrieve, file.id)

    def batches(self, provider, mark, model):
        asked = {"model": model, "messages": [{"role": "user", "content": mark}]}
        line = {"custom_id": mark, "method": "POST", "url": "/v1/chat/completions", "body": asked}
        file = self.upload(provider, json.dumps(line).encode() + b"\n")
        more = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
        batch = SDK.batches.create(input_file_id=file.id, **more)
        assert (batch.status, SDK.batches.retrieve(batch.id).id) == ("completed", batch.id)
        assert mark in SDK.files.content(batch.output_file_id).text
        self.is_not_there(NEIGHBOUR.batches.retrieve, batch.id)
        with pytest.raises((openai.BadRequestError, openai.NotFoundError)):
            NEIGHBOUR.batches.create(input_file_id=file.id, **more)
        assert SDK.batches.cancel(batch.id).status == "cancelled"

    def responses(self, model, question):
        first = SDK.responses.create(model=model, input=question, store=True)
        assert SDK.responses.retrieve(first.id).output_text
        second = SDK.responses.create(model=model, input=question, previous_response_id=first.id)
        assert second.previous_response_id == first.id
        self.is_not_there(NEIGHBOUR.responses.retrieve, first.id)
        with pytest.raises((openai.BadRequestError, openai.NotFoundError)):
            NEIGHBOUR.responses.create(model=model, input=question, previous_response_id=first.id)
        SDK.responses.delete(first.id)

    def is_not_there(self, ask, name):
        with pytest.raises(openai.NotFoundError):
            ask(name)
