"""The released `cohere` SDK reads the fake's second API."""

import json

import cohere
import pytest
from facts import PIECE, SAMPLE, SCHEMA, TEXT, THOUGHT, URL, WEATHER

CLIENT = cohere.ClientV2(api_key="key", base_url=URL, timeout=20)
NO_RETRIES = {"max_retries": 0}
QUESTION = [{"role": "user", "content": "Xin chào"}]
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}]


def ask(model="chat", **more):
    more.setdefault("messages", QUESTION)
    return CLIENT.chat(model=model, request_options=NO_RETRIES, **more)


def test_text_and_usage():
    answer = ask()
    assert (answer.message.content[0].text, answer.finish_reason) == (TEXT, "COMPLETE")
    tokens = answer.usage.tokens
    assert (tokens.input_tokens, tokens.output_tokens, answer.usage.cached_tokens) == (11, 7, 3)


def test_a_stream_comes_to_its_end():
    events = list(CLIENT.chat_stream(model="chat", messages=QUESTION))
    texts = [event.delta.message.content.text for event in events if event.type == "content-delta"]
    assert "".join(texts) == PIECE * 5
    assert [event.type for event in events if "-delta" not in event.type] == [
        "message-start",
        "content-start",
        "content-end",
        "message-end",
    ]
    assert events[-1].delta.usage.tokens.output_tokens == 7


def test_a_call_and_the_end_of_its_loop():
    answer = ask(tools=TOOLS)
    call = answer.message.tool_calls[0]
    assert (answer.finish_reason, call.function.name) == ("TOOL_CALL", "get_weather")
    assert json.loads(call.function.arguments) == {"city": "Hanoi"}
    turns = [
        *QUESTION,
        {"role": "assistant", "tool_calls": answer.message.tool_calls, "tool_plan": answer.message.tool_plan},
        {"role": "tool", "tool_call_id": call.id, "content": "31 °C"},
    ]
    assert ask(messages=turns, tools=TOOLS).message.content[0].text == TEXT


def test_a_streamed_call():
    events = list(CLIENT.chat_stream(model="chat", messages=QUESTION, tools=TOOLS))
    start = next(event for event in events if event.type == "tool-call-start").delta.message.tool_calls
    pieces = [event.delta.message.tool_calls.function.arguments for event in events if event.type == "tool-call-delta"]
    assert (start.function.name, json.loads("".join(pieces))) == ("get_weather", {"city": "Hanoi"})
    assert events[-1].delta.finish_reason == "TOOL_CALL"


def test_thoughts():
    content = ask(thinking={"type": "enabled"}).message.content
    assert (content[0].thinking, content[1].text) == (THOUGHT, TEXT)


def test_a_schema_is_obeyed():
    answer = ask(response_format={"type": "json_object", "json_schema": SCHEMA})
    assert json.loads(answer.message.content[0].text) == SAMPLE


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("status-400", cohere.BadRequestError),
        ("status-401", cohere.UnauthorizedError),
        ("nothing", cohere.NotFoundError),
        ("status-429-after-7", cohere.TooManyRequestsError),
        ("status-500", cohere.InternalServerError),
        ("status-503", cohere.ServiceUnavailableError),
    ],
)
def test_errors_have_their_class(model, error):
    with pytest.raises(error) as caught:
        ask(model)
    assert caught.value.body["message"]


def test_an_error_in_mid_stream_is_the_end_of_the_message():
    last = list(CLIENT.chat_stream(model="error-event", messages=QUESTION))[-1]
    assert (last.delta.finish_reason, last.delta.error) == ("ERROR", "the model fell over")


def test_embeddings_and_rerank():
    answer = CLIENT.embed(model="chat", texts=["a", "b"], input_type="search_query", embedding_types=["float"])
    assert answer.embeddings.float_ == [[0.25, -0.5]] * 2
    ranked = CLIENT.rerank(model="chat", query="q", documents=["a", "b", "c"], top_n=2)
    assert [result.index for result in ranked.results] == [2, 1]
