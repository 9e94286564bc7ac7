"""The released `google-genai` SDK reads the fake's Gemini: AI Studio and Vertex AI."""

import json

import google.auth.credentials
import pytest
from facts import PIECE, SAMPLE, SCHEMA, TEXT, THOUGHT, URL, WEATHER
from google import genai
from google.genai import errors, types


class Anybody(google.auth.credentials.Credentials):
    def refresh(self, request):
        self.token = "token"


STUDIO = genai.Client(api_key="key", http_options=types.HttpOptions(base_url=URL, api_version="v1beta"))
VERTEX = genai.Client(
    vertexai=True,
    project="p",
    location="global",
    credentials=Anybody(),
    http_options=types.HttpOptions(base_url=URL, api_version="v1"),
)
TOOL = types.Tool(
    function_declarations=[types.FunctionDeclaration(name="get_weather", parameters_json_schema=WEATHER)]
)


@pytest.fixture(params=[STUDIO, VERTEX], ids=["studio", "vertex"])
def client(request):
    return request.param


def ask(client, model="chat", contents="Xin chào", **config):
    return client.models.generate_content(
        model=model, contents=contents, config=types.GenerateContentConfig(**config)
    )


def test_text_and_usage(client):
    answer = ask(client)
    assert (answer.text, answer.candidates[0].finish_reason) == (TEXT, types.FinishReason.STOP)
    usage = answer.usage_metadata
    assert (usage.prompt_token_count, usage.cached_content_token_count) == (11, 3)
    assert (usage.candidates_token_count, usage.thoughts_token_count, usage.total_token_count) == (5, 2, 18)


def test_a_stream_comes_to_its_end(client):
    chunks = list(client.models.generate_content_stream(model="chat", contents="Xin chào"))
    assert "".join(chunk.text or "" for chunk in chunks) == PIECE * 5
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert chunks[-1].usage_metadata.total_token_count == 18


@pytest.mark.parametrize("streams", [False, True])
def test_a_call_and_the_end_of_its_loop(client, streams):
    config = types.GenerateContentConfig(
        tools=[TOOL], automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True)
    )
    if streams:
        parts = [
            part
            for chunk in client.models.generate_content_stream(model="chat", contents="Xin chào", config=config)
            for part in chunk.candidates[0].content.parts
        ]
    else:
        parts = client.models.generate_content(model="chat", contents="Xin chào", config=config).candidates[0].content.parts
    call = parts[0].function_call
    assert (call.name, call.args, bool(parts[0].thought_signature)) == ("get_weather", {"city": "Hanoi"}, True)
    turns = [
        types.Content(role="user", parts=[types.Part(text="Xin chào")]),
        types.Content(role="model", parts=[parts[0]]),
        types.Content(
            role="user",
            parts=[types.Part(function_response=types.FunctionResponse(name=call.name, response={"result": "31 °C"}))],
        ),
    ]
    assert client.models.generate_content(model="chat", contents=turns, config=config).text == TEXT


def test_thoughts(client):
    answer = ask(client, thinking_config=types.ThinkingConfig(include_thoughts=True))
    parts = answer.candidates[0].content.parts
    assert (parts[0].text, parts[0].thought, answer.text) == (THOUGHT, True, TEXT)


def test_a_schema_is_obeyed(client):
    answer = ask(client, response_mime_type="application/json", response_json_schema=SCHEMA)
    assert json.loads(answer.text) == SAMPLE


@pytest.mark.parametrize(
    ("model", "error", "word"),
    [
        ("status-400", errors.ClientError, "INVALID_ARGUMENT"),
        ("status-401", errors.ClientError, "UNAUTHENTICATED"),
        ("nothing", errors.ClientError, "NOT_FOUND"),
        ("status-429-after-7", errors.ClientError, "RESOURCE_EXHAUSTED"),
        ("status-500", errors.ServerError, "INTERNAL"),
        ("status-503", errors.ServerError, "UNAVAILABLE"),
    ],
)
def test_errors_have_their_class(client, model, error, word):
    with pytest.raises(error) as caught:
        ask(client, model)
    assert caught.value.status == word


def test_an_error_in_mid_stream_is_raised(client):
    with pytest.raises(errors.ServerError):
        list(client.models.generate_content_stream(model="error-event", contents="Xin chào"))


def test_embeddings_and_counts(client):
    vectors = client.models.embed_content(model="chat", contents=["a", "b"]).embeddings
    assert [vector.values for vector in vectors] == [[0.25, -0.5]] * 2
    assert client.models.count_tokens(model="chat", contents="Xin chào").total_tokens == 11


def test_models():
    assert [model.name for model in STUDIO.models.list()] == ["models/chat"]
