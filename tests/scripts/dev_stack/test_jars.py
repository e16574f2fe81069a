"""Fetching jars: with the authorities of the system, and a failure in one sentence."""

import http.server
import socket
import ssl
from pathlib import Path
from threading import Thread

import jgo
import pytest
import requests

from scripts.dev_stack.elasticsearch import jars
from scripts.errors import CliError

CERTIFICATE = Path(__file__).parents[2] / "support/api/localhost.pem"


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


def test_authority_of_the_system_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        server.socket = _tls().wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.handle_request)
        thread.start()

        def resolve(coordinate: str) -> list[object]:
            requests.head(f"https://127.0.0.1:{server.server_port}/", timeout=20)
            return []

        monkeypatch.setattr(jgo, "resolve", resolve)
        assert jars.fetch(jars.COMPILER) == []
        thread.join()


def _tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context
