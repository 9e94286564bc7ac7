"""Writes down what became of every cell, for the table of the documentation."""

import json
import os

import pytest

OUTCOMES = []


@pytest.fixture
def outcome(request):
    """Tells the outcome of a cell; a cell that fails tells none."""
    parameters = request.node.callspec.params

    def tell(what):
        client = parameters["client"]
        OUTCOMES.append([client.name, client.endpoint, parameters["feature"], parameters["provider"], what])

    return tell


def pytest_sessionfinish():
    if path := os.environ.get("HEADGATE_MATRIX_OUTCOMES"):
        with open(path, "w") as file:
            json.dump(OUTCOMES, file)
