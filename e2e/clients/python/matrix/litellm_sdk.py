"""The released `litellm` as a client of an OpenAI-compatible server."""

import json
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else the import asks the internet for prices

import litellm  # noqa: E402
from openai_sdk import FUNCTION, PICTURE  # noqa: E402
from world import API_KEY, BASE_URL, RESULT, SCHEMA, Said  # noqa: E402

litellm.suppress_debug_info = True
litellm.telemetry = False
litellm.DEFAULT_MAX_RETRIES = 0  # embeddings take a `max_retries` of 0 for none given
TOOLS = [{"type": "function", "function": FUNCTION}]


class LiteLLM:
    name = "litellm"
    errors = {
        400: litellm.BadRequestError,
        401: litellm.AuthenticationError,
        404: litellm.NotFoundError,
        429: litellm.RateLimitError,
        500: litellm.InternalServerError,
        502: litellm.BadGatewayError,
    }
    broken = Exception

    def status(self, error):
        return error.status_code

    def retry_after(self, error):
        return error.response.headers["retry-after"]

    def ask(self, function, model, key=API_KEY, **more):
        return function(
            model=f"openai/{model}", api_base=BASE_URL, api_key=key, max_retries=0, timeout=20, **more
        )


class Chat(LiteLLM):
    endpoint = "chat"

    def asked(self, question):
        return [{"role": "user", "content": question}]

    def said(self, answer):
        choice, counts = answer.choices[0], getattr(answer, "usage", None)
        details = counts.prompt_tokens_details if counts else None
        return Said(
            choice.message.content,
            choice.finish_reason,
            input_tokens=counts.prompt_tokens if counts else None,
            cached_tokens=(details.cached_tokens or 0) if details else 0,
            output_tokens=counts.completion_tokens if counts else None,
        )

    def complete(self, model, turns, **more):
        return self.ask(litellm.completion, model, messages=turns, **more)

    def text(self, model, question, **more):
        return self.said(self.complete(model, self.asked(question), **more))

    def stranger(self, model, question):
        return self.complete(model, self.asked(question), key="vk-nobody-has-this-key-0000000000000")

    def streamed(self, model, turns, **more):
        chunks = list(self.complete(model, turns, stream=True, stream_options={"include_usage": True}, **more))
        return litellm.stream_chunk_builder(chunks, messages=turns)

    def stream(self, model, question):
        return self.said(self.streamed(model, self.asked(question)))

    def loop(self, model, question, streamed):
        turns = self.asked(question)
        ask = self.streamed if streamed else self.complete
        choice = ask(model, turns, tools=TOOLS).choices[0]
        assert choice.finish_reason == "tool_calls"
        call = choice.message.tool_calls[0]
        assert call.function.name == "get_weather"
        turns += [choice.message.model_dump(exclude_none=True)]
        turns += [{"role": "tool", "tool_call_id": call.id, "content": RESULT}]
        last = self.said(self.complete(model, turns, tools=TOOLS))
        last.arguments = json.loads(call.function.arguments)
        return last

    def vision(self, model, question):
        return self.text(model, [{"type": "text", "text": question}, {"type": "image_url", "image_url": {"url": PICTURE}}])

    def schema(self, model, question):
        wanted = {"name": "forecast", "schema": SCHEMA, "strict": True}
        return self.text(model, question, response_format={"type": "json_schema", "json_schema": wanted})

    def abort(self, model, question):
        stream = self.complete(model, self.asked(question), stream=True)
        next(chunk for chunk in stream if chunk.choices[0].delta.content)
        stream.completion_stream.close()

    def drain(self, model, question):
        for _ in self.complete(model, self.asked(question), stream=True):
            pass


class Embeddings(LiteLLM):
    endpoint = "embeddings"

    def embed(self, model, texts, key=API_KEY):
        return self.ask(litellm.embedding, model, key, input=texts)

    def text(self, model, question):
        return self.embed(model, [question])

    def stranger(self, model, question):
        return self.embed(model, [question], "vk-nobody-has-this-key-0000000000000")

    def vectors(self, model, texts):
        return [item["embedding"] for item in self.embed(model, texts).data]
