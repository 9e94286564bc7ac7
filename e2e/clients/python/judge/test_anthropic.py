"""The released `anthropic` SDK reads the fake's Messages: at home and as Vertex AI serves them."""

import json

import anthropic
import pytest
from facts import PIECE, SAMPLE, SCHEMA, TEXT, THOUGHT, URL, WEATHER

QUESTION = [{"role": "user", "content": "Xin chào"}]
TOOLS = [{"name": "get_weather", "input_schema": WEATHER}]
HOME = anthropic.Anthropic(base_url=URL, api_key="sk-judge", max_retries=0, timeout=20)
VERTEX = anthropic.AnthropicVertex(
    base_url=f"{URL}/v1", region="global", project_id="p", access_token="token", max_retries=0, timeout=20
)


@pytest.fixture(params=[HOME, VERTEX], ids=["home", "vertex"])
def client(request):
    return request.param


def ask(client, model="chat", **more):
    return client.messages.create(model=model, max_tokens=64, messages=QUESTION, **more)


def test_text_and_usage(client):
    message = ask(client)
    assert [block.text for block in message.content] == [TEXT]
    assert message.stop_reason == "end_turn"
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (8, 3, 7)
    assert usage.output_tokens_details.thinking_tokens == 2


def test_a_stream_is_accumulated_to_its_end(client):
    with client.messages.stream(model="chat", max_tokens=64, messages=QUESTION) as stream:
        kinds = [event.type for event in stream]
        message = stream.get_final_message()
    assert message.content[0].text == PIECE * 5
    assert (message.stop_reason, message.usage.output_tokens) == ("end_turn", 7)
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop"


def test_a_call_and_the_end_of_its_loop(client):
    message = ask(client, tools=TOOLS)
    call = message.content[0]
    assert (message.stop_reason, call.name, call.input) == ("tool_use", "get_weather", {"city": "Hanoi"})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "31 °C"}
    turns = [*QUESTION, {"role": "assistant", "content": message.content}, {"role": "user", "content": [result]}]
    last = client.messages.create(model="chat", max_tokens=64, messages=turns, tools=TOOLS)
    assert last.content[0].text == TEXT


def test_a_streamed_call(client):
    with client.messages.stream(model="chat", max_tokens=64, messages=QUESTION, tools=TOOLS) as stream:
        message = stream.get_final_message()
    assert (message.stop_reason, message.content[0].input) == ("tool_use", {"city": "Hanoi"})


@pytest.mark.parametrize("streams", [False, True])
def test_thoughts_carry_their_signature(client, streams):
    thinking = {"type": "enabled", "budget_tokens": 1024}
    asked = {"model": "chat", "max_tokens": 2048, "messages": QUESTION, "thinking": thinking}
    if streams:
        with client.messages.stream(**asked) as stream:
            message = stream.get_final_message()
    else:
        message = client.messages.create(**asked)
    assert (message.content[0].thinking, bool(message.content[0].signature)) == (THOUGHT, True)
    assert message.content[1].type == "text"


def test_a_schema_is_obeyed(client):
    message = ask(client, output_config={"format": {"type": "json_schema", "schema": SCHEMA}})
    assert json.loads(message.content[0].text) == SAMPLE


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("status-400", anthropic.BadRequestError),
        ("status-401", anthropic.AuthenticationError),
        ("status-404", anthropic.NotFoundError),
        ("nothing", anthropic.NotFoundError),
        ("status-429-after-7", anthropic.RateLimitError),
        ("status-500", anthropic.InternalServerError),
        ("status-529", anthropic.InternalServerError),
        ("error-event", anthropic.APIStatusError),
    ],
)
def test_errors_have_their_class(client, model, error):
    with pytest.raises(error) as caught:
        if model == "error-event":
            list(ask(client, model, stream=True))
        else:
            ask(client, model)
    assert caught.value.body["error"]["type"].endswith("_error")


def test_counting():
    assert HOME.messages.count_tokens(model="chat", messages=QUESTION).input_tokens == 11
    assert VERTEX.messages.count_tokens(model="chat", messages=QUESTION).input_tokens == 11


def test_models():
    assert [model.id for model in HOME.models.list()] == ["chat"]


def test_a_request_without_a_cap_is_refused():
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        HOME.post("/v1/messages", body={"model": "chat", "messages": QUESTION}, cast_to=object)


def test_hanging_up_is_seen(client, provider):
    with client.messages.stream(model="slow", max_tokens=64, messages=QUESTION) as stream:
        next(iter(stream.text_stream))
    assert provider.hung_up()
