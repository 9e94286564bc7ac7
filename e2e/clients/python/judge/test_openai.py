"""The released `openai` SDK reads everything that the fake says in its owner's shapes, and in Azure's."""

import io
import json

import openai
import pytest
from facts import PIECE, SAMPLE, TEXT, THOUGHT, URL, WEATHER
from pydantic import BaseModel

CLIENT = openai.OpenAI(base_url=f"{URL}/api.openai.com/v1", api_key="sk-judge", max_retries=0, timeout=20)
AZURE = openai.AzureOpenAI(
    azure_endpoint=URL, api_key="key", api_version="2024-10-21", max_retries=0, timeout=20
)
AZURE_V1 = openai.OpenAI(base_url=f"{URL}/openai/v1", api_key="key", max_retries=0, timeout=20)
QUESTION = [{"role": "user", "content": "Xin chào"}]
FUNCTION = {"name": "get_weather", "parameters": WEATHER}
CHAT_TOOLS = [{"type": "function", "function": FUNCTION}]
TOOLS = [{"type": "function", **FUNCTION}]


class Forecast(BaseModel):
    city: str
    days: int


@pytest.fixture(params=[CLIENT, AZURE, AZURE_V1], ids=["openai", "azure-deployment", "azure-v1"])
def client(request):
    return request.param


def test_chat(client):
    answer = client.chat.completions.create(model="chat", messages=QUESTION)
    assert (answer.choices[0].message.content, answer.usage.total_tokens) == (TEXT, 18)


def test_a_chat_stream(client):
    options = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(model="chat", messages=QUESTION, stream=True, stream_options=options)
    )
    assert len([chunk for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]) == 5
    assert (chunks[-1].choices, chunks[-1].usage.total_tokens) == ([], 18)


def test_a_tool_loop(client):
    message = client.chat.completions.create(model="chat", messages=QUESTION, tools=CHAT_TOOLS).choices[0].message
    call = message.tool_calls[0]
    assert json.loads(call.function.arguments) == {"city": "Hanoi"}
    turns = [*QUESTION, message, {"role": "tool", "tool_call_id": call.id, "content": "31 °C"}]
    last = client.chat.completions.create(model="chat", messages=turns, tools=CHAT_TOOLS).choices[0]
    assert (last.message.content, last.finish_reason) == (TEXT, "stop")


def test_a_schema_is_obeyed(client):
    answer = client.chat.completions.parse(model="chat", messages=QUESTION, response_format=Forecast)
    assert answer.choices[0].message.parsed == Forecast(**SAMPLE)


def test_azures_model_stands_in_the_path(provider):
    AZURE.chat.completions.create(model="chat", messages=QUESTION)
    assert provider.received()[-1]["path"] == "/openai/deployments/chat/chat/completions?api-version=2024-10-21"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("400", openai.BadRequestError),
        ("401", openai.AuthenticationError),
        ("404", openai.NotFoundError),
        ("429-after-7", openai.RateLimitError),
        ("500", openai.InternalServerError),
    ],
)
def test_errors_have_their_class(client, status, error):
    with pytest.raises(error):
        client.chat.completions.create(model=f"status-{status}", messages=QUESTION)


def test_completions():
    answer = CLIENT.completions.create(model="chat", prompt="Xin chào")
    assert (answer.choices[0].text, answer.usage.total_tokens) == (TEXT, 18)
    chunks = list(CLIENT.completions.create(model="chat", prompt="Xin chào", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == PIECE * 5


@pytest.mark.parametrize("encoding", [openai.NOT_GIVEN, "float"], ids=["base64", "float"])
def test_embeddings(client, encoding):
    data = client.embeddings.create(model="chat", input=["a", "b"], encoding_format=encoding).data
    assert [vector.embedding for vector in data] == [[0.25, -0.5]] * 2


def test_a_response():
    response = CLIENT.responses.create(model="chat", input="Xin chào", reasoning={"effort": "low"})
    assert (response.status, response.output_text) == ("completed", TEXT)
    thought = response.output[0]
    assert (thought.summary[0].text, bool(thought.encrypted_content)) == (THOUGHT, True)
    usage = response.usage
    assert (usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.total_tokens) == (11, 3, 18)


@pytest.mark.parametrize("effort", [None, "low"])
def test_the_events_of_a_response(effort):
    more = {"reasoning": {"effort": effort}} if effort else {}
    with CLIENT.responses.stream(model="chat", input="Xin chào", **more) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert final.output_text == PIECE * 5
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
    for done in ("output_text.done", "content_part.done", "output_item.done"):
        assert f"response.{done}" in kinds


def test_a_tool_loop_of_responses():
    with CLIENT.responses.stream(model="chat", input="Xin chào", tools=TOOLS) as stream:
        events = list(stream)
        call = stream.get_final_response().output[0]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "get_weather", {"city": "Hanoi"})
    turns = [
        *QUESTION,
        {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments},
        {"type": "function_call_output", "call_id": call.call_id, "output": "31 °C"},
    ]
    assert CLIENT.responses.create(model="chat", input=turns, tools=TOOLS).output_text == TEXT


def test_a_response_obeys_a_schema():
    assert CLIENT.responses.parse(model="chat", input="?", text_format=Forecast).output_parsed == Forecast(**SAMPLE)


def test_an_error_in_mid_response_is_its_last_event():
    last = list(CLIENT.responses.create(model="error-event", input="Xin chào", stream=True))[-1]
    assert (last.type, last.code) == ("error", "fake_mid_stream")


def test_a_stored_response():
    assert CLIENT.responses.retrieve("resp_fake").output_text == TEXT
    CLIENT.responses.delete("resp_fake")
    with pytest.raises(openai.NotFoundError):
        CLIENT.responses.retrieve("resp_other")


def test_pictures_sound_and_moderation():
    assert len(CLIENT.images.generate(model="chat", prompt="a cat", n=2).data) == 2
    edited = CLIENT.images.edit(model="chat", image=("a.png", b"\x89PNG"), prompt="a dog")
    assert edited.data[0].b64_json
    assert CLIENT.audio.speech.create(model="chat", voice="alloy", input="hi").content.startswith(b"ID3")
    sound = ("a.wav", io.BytesIO(b"RIFF\x00\r\n\xff"))
    assert CLIENT.audio.transcriptions.create(model="chat", file=sound).text == TEXT
    assert CLIENT.moderations.create(model="chat", input=["a", "b"]).results[1].flagged is False


def test_files_and_batches():
    line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "chat"}}
    content = json.dumps(line).encode() + b"\n"
    file = CLIENT.files.create(file=("in.jsonl", content), purpose="batch")
    assert (file.filename, file.bytes) == ("in.jsonl", len(content))
    assert file.id in [listed.id for listed in CLIENT.files.list()]
    assert CLIENT.files.content(file.id).content == content
    batch = CLIENT.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert (batch.status, batch.request_counts.total) == ("completed", 1)
    assert CLIENT.batches.retrieve(batch.id).id == batch.id
    assert CLIENT.batches.cancel(batch.id).status == "cancelled"
    assert CLIENT.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        CLIENT.files.retrieve(file.id)


def test_models():
    assert [model.id for model in CLIENT.models.list()] == ["chat"]


@pytest.mark.parametrize(
    ("path", "field"),
    [("deepseek/v1", "reasoning_content"), ("groq/openai/v1", "reasoning"), ("together/v1", "reasoning")],
)
def test_thoughts_of_those_who_took_the_shape_over(path, field):
    client = openai.OpenAI(base_url=f"{URL}/{path}", api_key="key", max_retries=0)
    choice = client.chat.completions.create(model="chat", messages=QUESTION, reasoning_effort="high").choices[0]
    assert (choice.message.model_extra[field], choice.message.content) == (THOUGHT, TEXT)
    deltas = [
        chunk.choices[0].delta
        for chunk in client.chat.completions.create(
            model="chat", messages=QUESTION, reasoning_effort="high", stream=True
        )
    ]
    assert deltas[0].model_extra[field] == THOUGHT
