"""The released `boto3` reads the fake's Bedrock: Converse, its binary stream with both checksums, signatures."""

import json

import boto3
import botocore.exceptions
import pytest
from botocore.config import Config
from facts import PIECE, SAMPLE, SCHEMA, TEXT, THOUGHT, URL, WEATHER

QUESTION = [{"role": "user", "content": [{"text": "Xin chào"}]}]
TOOLS = {"tools": [{"toolSpec": {"name": "get_weather", "inputSchema": {"json": WEATHER}}}]}


def runtime(access_key="AKIAFAKEFAKEFAKEFAKE", secret="canary-aws-secret-8YtGbNm3KwLpQz6RvXcJd1Hs"):
    return boto3.client(
        "bedrock-runtime",
        region_name="eu-central-1",
        endpoint_url=URL,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=20),
    )


@pytest.fixture(scope="module")
def client():
    return runtime()


def accumulated(stream):
    text, arguments, thought, signature, stop, usage = "", "", "", "", None, None
    for event in stream:
        delta = event.get("contentBlockDelta", {}).get("delta", {})
        text += delta.get("text", "")
        arguments += delta.get("toolUse", {}).get("input", "")
        thought += delta.get("reasoningContent", {}).get("text", "")
        signature += delta.get("reasoningContent", {}).get("signature", "")
        stop = event.get("messageStop", {}).get("stopReason", stop)
        usage = event.get("metadata", {}).get("usage", usage)
    return text, arguments, thought, signature, stop, usage


def test_text_and_usage(client):
    answer = client.converse(modelId="chat", messages=QUESTION)
    assert answer["output"]["message"]["content"] == [{"text": TEXT}]
    assert answer["stopReason"] == "end_turn"
    usage = answer["usage"]
    assert (usage["inputTokens"], usage["cacheReadInputTokens"], usage["outputTokens"]) == (8, 3, 7)


def test_a_stream_comes_to_its_end(client):
    text, _, _, _, stop, usage = accumulated(client.converse_stream(modelId="chat", messages=QUESTION)["stream"])
    assert (text, stop, usage["totalTokens"]) == (PIECE * 5, "end_turn", 18)


def test_a_call_and_the_end_of_its_loop(client):
    answer = client.converse(modelId="chat", messages=QUESTION, toolConfig=TOOLS)
    said = answer["output"]["message"]
    call = said["content"][0]["toolUse"]
    assert (answer["stopReason"], call["name"], call["input"]) == ("tool_use", "get_weather", {"city": "Hanoi"})
    result = {"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": "31 °C"}]}}
    turns = [*QUESTION, said, {"role": "user", "content": [result]}]
    last = client.converse(modelId="chat", messages=turns, toolConfig=TOOLS)
    assert last["output"]["message"]["content"] == [{"text": TEXT}]


def test_a_streamed_call(client):
    stream = client.converse_stream(modelId="chat", messages=QUESTION, toolConfig=TOOLS)["stream"]
    _, arguments, _, _, stop, _ = accumulated(stream)
    assert (json.loads(arguments), stop) == ({"city": "Hanoi"}, "tool_use")


def test_thoughts_carry_their_signature(client):
    asked = {
        "modelId": "chat",
        "messages": QUESTION,
        "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    }
    reasoning = client.converse(**asked)["output"]["message"]["content"][0]["reasoningContent"]["reasoningText"]
    assert reasoning["text"] == THOUGHT and reasoning["signature"]
    _, _, thought, signature, _, _ = accumulated(client.converse_stream(**asked)["stream"])
    assert (thought, signature) == (THOUGHT, reasoning["signature"])


def test_a_schema_is_obeyed(client):
    structure = {"jsonSchema": {"name": "forecast", "schema": json.dumps(SCHEMA)}}
    answer = client.converse(
        modelId="chat",
        messages=QUESTION,
        outputConfig={"textFormat": {"type": "json_schema", "structure": structure}},
    )
    assert json.loads(answer["output"]["message"]["content"][0]["text"]) == SAMPLE


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("status-400", "ValidationException"),
        ("status-403", "AccessDeniedException"),
        ("nothing", "ResourceNotFoundException"),
        ("status-429-after-7", "ThrottlingException"),
        ("status-500", "InternalServerException"),
        ("status-503", "ServiceUnavailableException"),
    ],
)
def test_errors_have_their_class(client, model, error):
    with pytest.raises(getattr(client.exceptions, error)):
        client.converse(modelId=model, messages=QUESTION)


def test_an_exception_in_mid_stream_is_raised(client):
    stream = client.converse_stream(modelId="error-event", messages=QUESTION)["stream"]
    with pytest.raises(botocore.exceptions.EventStreamError, match="modelStreamErrorException"):
        accumulated(stream)


def test_a_model_of_any_name_is_signed_for(client):
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.converse(modelId="arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.x-v1:0", messages=QUESTION)


@pytest.mark.parametrize("key", [{"access_key": "AKIAANOTHERANOTHER00"}, {"secret": "wrong"}])
def test_a_wrong_key_or_signature_is_refused(key):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        runtime(**key).converse(modelId="chat", messages=QUESTION)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_embeddings_and_counts(client):
    titan = client.invoke_model(modelId="chat", body=json.dumps({"inputText": "a"}))
    assert json.load(titan["body"])["embedding"] == [0.25, -0.5]
    cohere = client.invoke_model(
        modelId="chat",
        body=json.dumps({"texts": ["a", "b"], "input_type": "search_query", "embedding_types": ["float"]}),
    )
    assert json.load(cohere["body"])["embeddings"]["float"] == [[0.25, -0.5]] * 2
    counted = client.count_tokens(modelId="chat", input={"converse": {"messages": QUESTION}})
    assert counted["inputTokens"] == 11
