"""The released `openai` client for Python against the gateway: what a caller sees who changed nothing but the base URL.

Run by `cargo test` (e2e/tests/gateway/clients.rs), which starts the gateway and the fake provider and says where they are.
The provider does what the `model` of a request names.
"""

import asyncio
import json
import os
import time
import urllib.request

import openai
import pytest

BASE_URL = os.environ["HEADGATE_BASE_URL"]
API_KEY = os.environ["HEADGATE_API_KEY"]
PROVIDER_URL = os.environ["FAKE_PROVIDER_URL"]
QUESTION = [{"role": "user", "content": "Xin chào"}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]


@pytest.fixture
def client():
    # No retries: each test is about one answer.
    with openai.OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=30) as client:
        yield client


def received():
    with urllib.request.urlopen(f"{PROVIDER_URL}/_fake/received", timeout=10) as answer:
        return json.load(answer)


def wait_for(condition, within_s):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    return condition()


def test_a_whole_answer(client):
    answer = client.chat.completions.create(model="chat", messages=QUESTION)
    assert answer.choices[0].message.content == "Xin chào from the fake provider."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == 18
    assert answer.usage.prompt_tokens_details.cached_tokens == 3


def test_the_headers_say_what_happened(client):
    raw = client.chat.completions.with_raw_response.create(model="chat", messages=QUESTION)
    assert raw.headers["x-headgate-provider"].endswith("fake")
    assert raw.headers["x-headgate-model"] == "chat"
    # 11 input tokens at $2.5 and 7 output tokens at $10 a million.
    assert float(raw.headers["x-headgate-cost-usd"]) == pytest.approx(0.0000975)
    assert raw.headers["x-request-id"]


def test_a_stream(client):
    with client.chat.completions.create(model="chat", messages=QUESTION, stream=True) as stream:
        chunks = list(stream)
    assert len([c for c in chunks if c.choices and c.choices[0].delta.content]) == 5
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(c.usage is None for c in chunks), "usage was not asked for"


def test_a_stream_with_usage_ends_with_it(client):
    with client.chat.completions.create(
        model="chat", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    ) as stream:
        last = list(stream)[-1]
    assert last.choices == []
    assert last.usage.total_tokens == 18


def test_events_arrive_while_the_stream_runs(client):
    started = time.monotonic()
    with client.chat.completions.create(model="events-60-every-50ms", messages=QUESTION, stream=True) as stream:
        next(iter(stream))
        first_after = time.monotonic() - started
    assert first_after < 1.5, "the first of three seconds' events was held back"


def test_tools_are_passed_through(client):
    answer = client.chat.completions.create(model="chat", messages=QUESTION, tools=TOOLS, tool_choice="auto")
    call = answer.choices[0].message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Hanoi"})
    sent = json.loads(received()[-1]["body"])
    assert (sent["tools"], sent["tool_choice"]) == (TOOLS, "auto")


def test_tools_are_passed_through_in_a_stream(client):
    with client.chat.completions.create(model="chat", messages=QUESTION, tools=TOOLS, stream=True) as stream:
        deltas = [c.choices[0].delta for c in stream if c.choices]
    pieces = [d.tool_calls[0].function.arguments for d in deltas if d.tool_calls]
    assert json.loads("".join(pieces)) == {"city": "Hanoi"}


def test_a_parameter_released_this_morning_reaches_the_provider(client):
    client.chat.completions.create(model="chat", messages=QUESTION, extra_body={"brand_new": {"a": [1, None]}})
    assert json.loads(received()[-1]["body"])["brand_new"] == {"a": [1, None]}


def test_the_list_of_models(client):
    names = {model.id for model in client.models.list()}
    assert {"chat", "slow", "echo"} <= names
    assert client.models.retrieve("chat").id == "chat"


@pytest.mark.parametrize(
    ("model", "error", "status"),
    [
        ("status-400", openai.BadRequestError, 400),
        # The provider refused the gateway's credential: the caller's own key is fine, so no AuthenticationError.
        ("status-401", openai.InternalServerError, 502),
        ("status-403", openai.PermissionDeniedError, 403),
        ("status-429-after-7", openai.RateLimitError, 429),
        ("status-500", openai.InternalServerError, 500),
        ("status-503", openai.InternalServerError, 503),
        ("reset", openai.InternalServerError, 502),
        ("no-such-model", openai.NotFoundError, 404),
    ],
)
def test_errors_have_the_class_that_callers_catch(client, model, error, status):
    with pytest.raises(error) as caught:
        client.chat.completions.create(model=model, messages=QUESTION)
    assert caught.value.status_code == status
    assert caught.value.request_id
    assert caught.value.code, caught.value.body


def test_retry_after_of_the_provider_reaches_the_caller(client):
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="status-429-after-7", messages=QUESTION)
    assert caught.value.response.headers["retry-after"] == "7"


def test_a_wrong_key_is_an_authentication_error():
    with openai.OpenAI(base_url=BASE_URL, api_key="vk-nobody-has-this-key-0000000000000", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError) as caught:
            stranger.chat.completions.create(model="chat", messages=QUESTION)
    assert caught.value.code == "invalid_api_key"


def test_bad_arguments_are_a_bad_request(client):
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="chat", messages="not a list")


@pytest.mark.parametrize("model", ["reset-mid-stream", "cut-before-done", "error-event"])
def test_a_stream_that_breaks_is_an_error_and_not_a_short_answer(client, model):
    with pytest.raises(openai.APIError):
        with client.chat.completions.create(model=model, messages=QUESTION, stream=True) as stream:
            for _ in stream:
                pass


def test_hanging_up_cancels_the_provider_within_a_second(client):
    before = len(received())
    with client.chat.completions.create(model="slow", messages=QUESTION, stream=True) as stream:
        next(iter(stream))
    assert wait_for(lambda: any(r["hung_up"] for r in received()[before:]), within_s=1), "the provider still streams"


def test_a_client_that_gives_up_waiting_cancels_the_provider_within_a_second(client):
    before = len(received())
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3).chat.completions.create(model="hang", messages=QUESTION)
    assert wait_for(lambda: any(r["hung_up"] for r in received()[before:]), within_s=1), "the provider still waits"


def test_fifty_callers_at_once():
    async def all_of_them():
        async with openai.AsyncOpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0) as client:
            asked = (client.chat.completions.create(model="chat", messages=QUESTION) for _ in range(50))
            return await asyncio.gather(*asked)

    assert all(answer.usage.total_tokens == 18 for answer in asyncio.run(all_of_them()))
