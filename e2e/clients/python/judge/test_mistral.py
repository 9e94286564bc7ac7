"""The released `mistralai` SDK reads what the fake says under Mistral's paths."""

import json

import pytest
from facts import SAMPLE, SCHEMA, TEXT, THOUGHT, URL, WEATHER
from mistralai.client import Mistral, errors

CLIENT = Mistral(api_key="key", server_url=f"{URL}/mistral", timeout_ms=20_000)
QUESTION = [{"role": "user", "content": "Xin chào"}]
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}]


def test_text_and_usage():
    answer = CLIENT.chat.complete(model="chat", messages=QUESTION)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (TEXT, "stop")
    assert answer.usage.total_tokens == 18


def test_a_stream_comes_to_its_end_with_usage_unasked():
    chunks = [event.data for event in CLIENT.chat.stream(model="chat", messages=QUESTION)]
    assert len([chunk for chunk in chunks if chunk.choices[0].delta.content]) == 5
    assert (chunks[-1].choices[0].finish_reason, chunks[-1].usage.total_tokens) == ("stop", 18)


def test_a_call_has_an_id_of_nine():
    choice = CLIENT.chat.complete(model="chat", messages=QUESTION, tools=TOOLS).choices[0]
    call = choice.message.tool_calls[0]
    assert (choice.finish_reason, call.function.name, len(call.id)) == ("tool_calls", "get_weather", 9)
    assert json.loads(call.function.arguments) == {"city": "Hanoi"}


def test_thoughts_are_parts():
    content = CLIENT.chat.complete(model="chat", messages=QUESTION, reasoning_effort="high").choices[0].message.content
    assert (content[0].thinking[0].text, content[1].text) == (THOUGHT, TEXT)


def test_a_schema_is_obeyed():
    schema = {"type": "json_schema", "json_schema": {"name": "forecast", "schema": SCHEMA}}
    answer = CLIENT.chat.complete(model="chat", messages=QUESTION, response_format=schema)
    assert json.loads(answer.choices[0].message.content) == SAMPLE


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_errors_are_read(status):
    with pytest.raises(errors.SDKError) as caught:
        CLIENT.chat.complete(model=f"status-{status}", messages=QUESTION)
    assert caught.value.status_code == status


def test_embeddings():
    vectors = CLIENT.embeddings.create(model="chat", inputs=["a", "b"]).data
    assert [vector.embedding for vector in vectors] == [[0.25, -0.5]] * 2
