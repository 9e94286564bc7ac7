"""What all judges share: the fake provider as a witness."""

import json
import time
import urllib.request

import pytest
from facts import URL


class Provider:
    """The fake provider, and what it received."""

    def received(self):
        with urllib.request.urlopen(f"{URL}/_fake/received", timeout=10) as answer:
            return json.load(answer)

    def hung_up(self, within_s=1):
        """Whether the newest request's caller hangs up in time."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if self.received()[-1]["hung_up"]:
                return True
            time.sleep(0.02)
        return False


@pytest.fixture(scope="session")
def provider():
    return Provider()
