"""What all clients of the matrix share: where things are, what is asked, what must come back."""

import json
import os
import pathlib
import time
import urllib.request
import uuid
from dataclasses import dataclass, field

BASE_URL = os.environ["HEADGATE_BASE_URL"]
ROOT_URL = BASE_URL.removesuffix("/v1")
API_KEY = os.environ["HEADGATE_API_KEY"]
NEIGHBOUR_KEY = os.environ["HEADGATE_NEIGHBOUR_KEY"]
PROVIDER_URL = os.environ["FAKE_PROVIDER_URL"]
MATRIX = json.loads((pathlib.Path(__file__).parents[2] / "matrix.json").read_text())

TEXT = "Xin chào from the fake provider."
PIECE = "xin chao "
THOUGHT = "Somebody greets me."
RESULT = "31 °C"
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
SAMPLE = {"city": "Hanoi", "days": 7}
# A PNG of one pixel.
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


@dataclass
class Said:
    """An answer, whole or put together from a stream, in the words of no client."""

    text: str
    finish: str | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    thought: str | None = None
    arguments: dict = field(default_factory=dict)


class Cell:
    """One question, told from all others by a mark in its text, and what became of it at the provider."""

    def __init__(self, provider, endpoint):
        self.provider = provider
        self.models = "embed-" if endpoint == "embeddings" else ""
        self.mark = uuid.uuid4().hex
        self.question = f"Xin chào {self.mark}"

    def model(self, behaviour="chat"):
        return f"{self.provider}/{self.models}{behaviour}"

    def received(self):
        with urllib.request.urlopen(f"{PROVIDER_URL}/_fake/received?holding={self.mark}", timeout=10) as answer:
            return json.load(answer)

    def hung_up(self, within_s=5):
        """Whether the provider sees the hang-up in time."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if any(request["hung_up"] for request in self.received()):
                return True
            time.sleep(0.02)
        return False
