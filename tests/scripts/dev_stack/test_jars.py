"""Jars that cannot be fetched: one sentence, in our own words where the connection failed."""

import socket

import jgo
import pytest
import requests

from scripts.dev_stack.elasticsearch import jars
from scripts.errors import CliError


def test_index_that_cannot_be_reached_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    def resolve(coordinate: str) -> object:
        return requests.get(f"http://127.0.0.1:{port}/{coordinate}", timeout=20)

    monkeypatch.setattr(jgo, "resolve", resolve)
    with pytest.raises(CliError) as failed:
        jars.fetch(jars.COMPILER)
    assert str(failed.value) == (
        f"{jars.COMPILER} could not be fetched from Maven Central: nothing listens at its address;"
        " what has been fetched is kept."
    )


def test_other_failures_keep_their_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(coordinate: str) -> object:
        raise RuntimeError("the POM has no such property")

    monkeypatch.setattr(jgo, "resolve", resolve)
    with pytest.raises(CliError, match="the POM has no such property"):
        jars.fetch(jars.COMPILER)
