"""The canned answers and manifests of each provider's dialect: what a translation costs is measured with these.

Each answer says the same in its provider's words, with about the same number of bytes of text. Clients send one chat
request to all of them.
"""

import json

TEXT = "Xin chao! " * 20


def _openai(model):
    return {"id": "chatcmpl-bench", "object": "chat.completion", "created": 1790000000, "model": model,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT, "refusal": None},
                         "logprobs": None, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 40, "completion_tokens": 20, "total_tokens": 60}}


ANSWERS = {
    "OpenAI": _openai("gpt-5-mini"),
    "Groq": _openai("llama-3.3-70b"),
    "Mistral": _openai("mistral-small-latest"),
    "DeepSeek": _openai("deepseek-chat"),
    "Together": _openai("meta-llama/Llama-3.3-70B"),
    "Anthropic": {"id": "msg_bench", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
                  "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn", "stop_sequence": None,
                  "usage": {"input_tokens": 40, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
                            "output_tokens": 20, "service_tier": "standard"}},
    "Gemini": {"candidates": [{"content": {"parts": [{"text": TEXT}], "role": "model"}, "finishReason": "STOP", "index": 0}],
               "usageMetadata": {"promptTokenCount": 40, "candidatesTokenCount": 20, "totalTokenCount": 60},
               "modelVersion": "gemini-3-flash", "responseId": "bench"},
    "Bedrock": {"output": {"message": {"role": "assistant", "content": [{"text": TEXT}]}}, "stopReason": "end_turn",
                "usage": {"inputTokens": 40, "outputTokens": 20, "totalTokens": 60}, "metrics": {"latencyMs": 1}},
    "Cohere": {"id": "bench", "finish_reason": "COMPLETE",
               "message": {"role": "assistant", "content": [{"type": "text", "text": TEXT}]},
               "usage": {"billed_units": {"input_tokens": 40, "output_tokens": 20},
                         "tokens": {"input_tokens": 40, "output_tokens": 20}}},
    "Ollama": {"model": "llama3.3", "created_at": "2026-11-21T10:00:00Z", "done": True, "done_reason": "stop",
               "message": {"role": "assistant", "content": TEXT}, "prompt_eval_count": 40, "eval_count": 20,
               "total_duration": 1, "eval_duration": 1},
}

# What a manifest says beside the address; all that translate to the hub share one way through it.
MORE = {"Bedrock": "bedrock: {region: eu-central-1}"}


def locations():
    """nginx locations, one a dialect, each with its canned answer."""
    def location(kind):
        answer = json.dumps(ANSWERS[kind], separators=(",", ":"))
        return f"location /{kind}/ {{ return 200 '{answer}'; }}"
    return " ".join(location(kind) for kind in ANSWERS)


def manifest(kind, port):
    """A provider of this kind whose one model is named as the kind."""
    more = f", {MORE[kind]}" if kind in MORE else ""
    return f"""---
apiVersion: headgate.dev/v1alpha1
kind: LLMProvider
metadata: {{name: {kind.lower()}}}
spec: {{type: {kind}, baseURL: "http://127.0.0.1:{port}/{kind}", credential: {{secretRef: {{name: credential, key: api-key}}}},
  models: [{{name: {kind}, upstreamModel: bench, price: {{input: "2.5", output: "10"}}}}]{more}}}
"""


# Where the scripted provider speaks the dialect, for streams.
STREAMED = {"Anthropic": "/v1", "Gemini": "/v1beta", "Bedrock": "", "Cohere": "/v2", "Ollama": ""}


def streaming_manifest(kind, port):
    """The scripted provider in this dialect; models are named `KIND-streams/MODEL`."""
    more = f", {MORE[kind]}" if kind in MORE else ""
    return f"""---
apiVersion: headgate.dev/v1alpha1
kind: LLMProvider
metadata: {{name: {kind.lower()}-streams}}
spec: {{type: {kind}, baseURL: "http://127.0.0.1:{port}{STREAMED[kind]}", discover: Any,
  credential: {{secretRef: {{name: credential, key: api-key}}}}{more}}}
"""
