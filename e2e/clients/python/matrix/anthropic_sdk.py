"""The released `anthropic` SDK: Messages."""

import anthropic
from world import API_KEY, PIXEL, RESULT, ROOT_URL, SCHEMA, WEATHER, Said

SDK = anthropic.Anthropic(base_url=ROOT_URL, api_key=API_KEY, max_retries=0, timeout=20)
STRANGER = SDK.with_options(api_key="vk-nobody-has-this-key-0000000000000")
TOOLS = [{"name": "get_weather", "description": "The weather of a city.", "input_schema": WEATHER}]
CAP = {"max_tokens": 4096}


class Messages:
    name = "anthropic (Python)"
    endpoint = "messages"
    errors = {
        400: anthropic.BadRequestError,
        401: anthropic.AuthenticationError,
        404: anthropic.NotFoundError,
        429: anthropic.RateLimitError,
        500: anthropic.InternalServerError,
        502: anthropic.InternalServerError,
    }
    broken = anthropic.APIError

    def status(self, error):
        return error.status_code

    def retry_after(self, error):
        return error.response.headers["retry-after"]

    def asked(self, question):
        return [{"role": "user", "content": question}]

    def said(self, message):
        counts = message.usage
        cached = counts.cache_read_input_tokens or 0
        return Said(
            "".join(block.text for block in message.content if block.type == "text"),
            message.stop_reason,
            input_tokens=counts.input_tokens + cached + (counts.cache_creation_input_tokens or 0),
            cached_tokens=cached,
            output_tokens=counts.output_tokens,
            thought="".join(block.thinking for block in message.content if block.type == "thinking"),
        )

    def text(self, model, question, sdk=SDK, **more):
        return self.said(sdk.messages.create(model=model, messages=self.asked(question), **CAP, **more))

    def stranger(self, model, question):
        return self.text(model, question, sdk=STRANGER)

    def streamed(self, model, turns, **more):
        with SDK.messages.stream(model=model, messages=turns, **CAP, **more) as stream:
            return stream.get_final_message()

    def stream(self, model, question):
        return self.said(self.streamed(model, self.asked(question)))

    def loop(self, model, question, streamed):
        turns = self.asked(question)
        if streamed:
            message = self.streamed(model, turns, tools=TOOLS)
        else:
            message = SDK.messages.create(model=model, messages=turns, tools=TOOLS, **CAP)
        assert message.stop_reason == "tool_use"
        call = next(block for block in message.content if block.type == "tool_use")
        assert call.name == "get_weather"
        turns.append({"role": "assistant", "content": message.content})
        result = {"type": "tool_result", "tool_use_id": call.id, "content": RESULT}
        turns.append({"role": "user", "content": [result]})
        last = self.said(SDK.messages.create(model=model, messages=turns, tools=TOOLS, **CAP))
        last.arguments = call.input
        return last

    def vision(self, model, question):
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        return self.text(model, [{"type": "image", "source": source}, {"type": "text", "text": question}])

    def schema(self, model, question):
        wanted = {"type": "json_schema", "schema": SCHEMA}
        return self.text(model, question, output_config={"format": wanted})

    def thinking(self, model, question):
        return self.text(model, question, thinking={"type": "enabled", "budget_tokens": 1024})

    def count(self, model, question):
        return SDK.messages.count_tokens(model=model, messages=self.asked(question)).input_tokens

    def abort(self, model, question):
        with SDK.messages.stream(model=model, messages=self.asked(question), **CAP) as stream:
            next(iter(stream.text_stream))

    def drain(self, model, question):
        self.streamed(model, self.asked(question))
