"""The released `ollama` client reads the fake's lines of JSON."""

import json

import ollama
import pytest
from facts import PIECE, SAMPLE, SCHEMA, TEXT, THOUGHT, URL, WEATHER

CLIENT = ollama.Client(host=URL, timeout=20)
QUESTION = [{"role": "user", "content": "Xin chào"}]
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}]


def test_text_and_usage():
    answer = CLIENT.chat(model="chat", messages=QUESTION)
    assert (answer.message.content, answer.done, answer.done_reason) == (TEXT, True, "stop")
    assert (answer.prompt_eval_count, answer.eval_count) == (11, 7)


def test_a_stream_comes_to_its_end():
    lines = list(CLIENT.chat(model="chat", messages=QUESTION, stream=True))
    assert "".join(line.message.content for line in lines) == PIECE * 5
    assert (lines[-1].done, lines[-1].eval_count) == (True, 7)


@pytest.mark.parametrize("streams", [False, True])
def test_a_call_and_the_end_of_its_loop(streams):
    answer = CLIENT.chat(model="chat", messages=QUESTION, tools=TOOLS, stream=streams)
    said = list(answer)[0].message if streams else answer.message
    call = said.tool_calls[0].function
    assert (call.name, dict(call.arguments)) == ("get_weather", {"city": "Hanoi"})
    turns = [*QUESTION, said, {"role": "tool", "tool_name": call.name, "content": "31 °C"}]
    assert CLIENT.chat(model="chat", messages=turns, tools=TOOLS).message.content == TEXT


def test_thoughts():
    message = CLIENT.chat(model="chat", messages=QUESTION, think=True).message
    assert (message.thinking, message.content) == (THOUGHT, TEXT)


def test_a_schema_is_obeyed():
    assert json.loads(CLIENT.chat(model="chat", messages=QUESTION, format=SCHEMA).message.content) == SAMPLE


@pytest.mark.parametrize("status", [400, 404, 429, 500])
def test_errors_are_read(status):
    with pytest.raises(ollama.ResponseError) as caught:
        CLIENT.chat(model=f"status-{status}", messages=QUESTION)
    assert (caught.value.status_code, caught.value.error) == (status, f"the fake provider says {status}")


def test_an_error_in_mid_stream_is_raised():
    with pytest.raises(ollama.ResponseError, match="fell over"):
        list(CLIENT.chat(model="error-event", messages=QUESTION, stream=True))


def test_embeddings_and_models():
    assert CLIENT.embed(model="chat", input=["a", "b"]).embeddings == [[0.25, -0.5]] * 2
    assert [model.model for model in CLIENT.list().models] == ["chat"]
