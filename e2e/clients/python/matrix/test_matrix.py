"""Every cell of the matrix (matrix.json): a client, one of its endpoints, a feature, a provider."""

import json

import anthropic_sdk
import langchain_sdk
import litellm_sdk
import openai_sdk
import pytest
from world import MATRIX, PIECE, PIXEL, SAMPLE, TEXT, THOUGHT, Cell

CLIENTS = [
    openai_sdk.Chat(),
    openai_sdk.Responses(),
    openai_sdk.Completions(),
    openai_sdk.Embeddings(),
    openai_sdk.Media(),
    openai_sdk.Stored(),
    anthropic_sdk.Messages(),
    langchain_sdk.Chat(),
    langchain_sdk.Embeddings(),
    litellm_sdk.Chat(),
    litellm_sdk.Embeddings(),
]
FINISHED = {"chat": "stop", "completions": "stop", "messages": "end_turn", "responses": "completed"}
# Who counts no cached tokens apart.
COUNTS_NO_CACHE = {"ollama"}
# Who shows what it thought.
SHOWS_THOUGHTS = set(MATRIX["shows thoughts"])


def rule(kind, client, feature, provider):
    """The first rule of that kind which is about the cell."""
    for rule in MATRIX[kind]:
        about = {
            "clients": client.name,
            "endpoints": client.endpoint,
            "features": feature,
            "providers": provider,
        }
        excepted = provider in rule.get("but providers", [])
        if not excepted and all(value in rule.get(key, [value]) for key, value in about.items()):
            return rule
    return None


def check_said(said, cell, endpoint, text=TEXT):
    if cell.provider == "echo":
        assert cell.mark in said.text
        return
    assert said.text == text
    if said.finish is not None:
        assert said.finish == FINISHED[endpoint]
    if said.input_tokens is not None:
        cached = 0 if cell.provider in COUNTS_NO_CACHE else 3
        assert (said.input_tokens, said.cached_tokens, said.output_tokens) == (11, cached, 7)


def text(client, cell):
    check_said(client.text(cell.model(), cell.question), cell, client.endpoint)


def stream(client, cell):
    said = client.stream(cell.model(), cell.question)
    if cell.provider != "echo":
        assert said.text.startswith(PIECE * 5)
    check_said(said, cell, client.endpoint, text=said.text)


def tools(client, cell, streamed=False):
    said = client.loop(cell.model(), cell.question, streamed)
    assert said.arguments == {"city": "Hanoi"}
    assert said.text == TEXT
    assert len(cell.received()) == 2, "one turn for the call, one for its result"


def streamed_tools(client, cell):
    tools(client, cell, streamed=True)


def vision(client, cell):
    check_said(client.vision(cell.model(), cell.question), cell, client.endpoint)
    if cell.provider != "echo":
        assert PIXEL in cell.received()[-1]["body"], "the picture did not arrive"


def schema(client, cell):
    assert json.loads(client.schema(cell.model(), cell.question).text) == SAMPLE


def thinking(client, cell):
    said = client.thinking(cell.model(), cell.question)
    assert (said.text, said.thought) == (TEXT, THOUGHT if cell.provider in SHOWS_THOUGHTS else "")


def count(client, cell):
    assert client.count(cell.model(), cell.question) > 0


def vectors(client, cell, count=2):
    made = client.vectors(cell.model(), [f"{cell.question} {n}" for n in range(count)])
    if cell.provider == "echo":
        assert len(made) == count and len(made[0]) > 0
    else:
        assert made == [[0.25, -0.5]] * count


def one_vector(client, cell):
    vectors(client, cell, count=1)


def pictures(client, cell):
    assert client.pictures(cell.model(), cell.question) == [PIXEL] * 2


def edited_pictures(client, cell):
    assert client.edited(cell.model(), cell.question) == [PIXEL]
    assert "the bytes of a picture" in cell.received()[-1]["body"], "the file did not arrive"


def speech(client, cell):
    assert client.speech(cell.model(), cell.question).startswith(b"ID3")


def transcription(client, cell):
    assert client.transcription(cell.model(), cell.question) == TEXT


def moderation(client, cell):
    assert client.moderation(cell.model(), cell.question) == [False, False]


def reranking(client, cell):
    assert client.reranking(cell.model(), cell.question) == [2, 1]


def files(client, cell):
    client.files(cell.provider, cell.mark)


def batches(client, cell):
    client.batches(cell.provider, cell.mark, cell.model())


def stored_responses(client, cell):
    client.responses(cell.model("stored"), cell.question)


def errors(client, cell):
    # The provider refused the gateway's credential: the caller's own key is fine, so no error of authentication.
    for behaviour, status in {
        "status-400": 400,
        "status-401": 502,
        "status-404": 404,
        "status-429-after-7": 429,
        "status-500": 500,
        "no-such-model": 404,
    }.items():
        with pytest.raises(client.errors[status]) as caught:
            client.text(cell.model(behaviour), cell.question)
        assert client.status(caught.value) == status, behaviour
        if status == 429:
            assert client.retry_after(caught.value) == "7"
    with pytest.raises(client.errors[401]):
        client.stranger(cell.model(), cell.question)


def abort(client, cell):
    client.abort(cell.model("slow"), cell.question)
    assert cell.hung_up(), "the provider still streams"


def cut(client, cell):
    for behaviour in ("reset-mid-stream", "error-event"):
        with pytest.raises(client.broken):
            client.drain(cell.model(behaviour), cell.question)
    assert [request["events_sent"] for request in cell.received()] == [2, 2], "it had not begun"


CHECKS = {
    "text": text,
    "stream": stream,
    "tools": tools,
    "streamed tools": streamed_tools,
    "vision": vision,
    "schema": schema,
    "thinking": thinking,
    "count": count,
    "one vector": one_vector,
    "vectors": vectors,
    "pictures": pictures,
    "edited pictures": edited_pictures,
    "speech": speech,
    "transcription": transcription,
    "moderation": moderation,
    "reranking": reranking,
    "files": files,
    "batches": batches,
    "stored responses": stored_responses,
    "errors": errors,
    "abort": abort,
    "cut": cut,
}


def cells():
    for client in CLIENTS:
        for feature in MATRIX["features"][client.endpoint]:
            for provider in MATRIX["providers"]:
                yield pytest.param(
                    client, feature, provider, id=f"{client.name}-{client.endpoint}-{feature}-{provider}"
                )


@pytest.mark.parametrize(("client", "feature", "provider"), cells())
def test_cell(client, feature, provider, outcome):
    cell = Cell(provider, client.endpoint)
    check = CHECKS[feature]
    if rule("does not apply", client, feature, provider):
        outcome("does not apply")
    elif rule("not yet", client, feature, provider):
        with pytest.raises(Exception):  # noqa: B017: whatever a client says to what is not there
            check(client, cell)
        outcome("not yet")
    elif refused := rule("refused", client, feature, provider):
        with pytest.raises(client.errors[refused["status"]], match=refused["says"]):
            check(client, cell)
        if "after an answer" not in refused:
            assert cell.received() == [], "what is refused must not reach the provider"
        outcome("refused")
    else:
        check(client, cell)
        outcome("works")
