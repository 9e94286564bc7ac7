"""What the fake provider says, whatever its wire, and where it is."""

import os

URL = os.environ["FAKE_PROVIDER_URL"]
TEXT = "Xin chào from the fake provider."
PIECE = "xin chao "
THOUGHT = "Somebody greets me."
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
SAMPLE = {"city": "Hanoi", "days": 7}
