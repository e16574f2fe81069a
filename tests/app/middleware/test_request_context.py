from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.testing import capture_logs

from app.http.errors import ApiError, timed_out
from app.lifecycle.shutdown import DrainState
from app.middleware.request_context import RequestContextMiddleware
from core.errors import (
    BackendUnavailableError,
    ConflictError,
    ExpectedError,
    NotAuthenticatedError,
    NotAuthorizedError,
    OverloadedError,
)

SECRET = "postgresql://app:password@10.0.0.5/platform"


async def ask(application: ASGIApp, path: str = "/") -> httpx2.Response:
    async def stateful(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {"draining": DrainState()}
        await RequestContextMiddleware(application, allowed_origins=[])(scope, receive, send)

    transport = httpx2.ASGITransport(app=stateful)
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
        return await client.get(path, headers={"X-Request-ID": "of-this-test"})


def failing(error: Exception) -> ASGIApp:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    return application


async def test_an_expected_error_becomes_its_answer() -> None:
    refusal = ApiError(409, "conflict", "Not now.", headers={"Retry-After": "7"})
    answer = await ask(failing(refusal))
    assert answer.status_code == 409
    assert answer.headers["Retry-After"] == "7"
    assert answer.json() == {"success": False, "error": "Not now.", "code": "conflict", "request_id": "of-this-test"}


async def test_details_are_there_only_where_fields_are_wrong() -> None:
    details: list[Any] = [{"field": "limit", "message": "should be a number"}]
    answer = await ask(failing(ApiError(400, "bad_request", "Please correct.", details=details)))
    assert answer.json()["details"] == details


@pytest.mark.parametrize("refusal", [BackendUnavailableError("the database"), OverloadedError(), timed_out()])
async def test_what_passes_is_told_in_a_word_on_which_the_web_client_tries_again(refusal: ExpectedError) -> None:
    answer = await ask(failing(refusal))
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "connection" in answer.json()["error"] or "timeout" in answer.json()["error"]


@pytest.mark.parametrize(
    ("error", "status", "code", "message", "headers"),
    [
        (
            BackendUnavailableError("the database"),
            503,
            "unavailable",
            "The connection to the database is not working at the moment. Please try again shortly.",
            {"Retry-After": "2"},
        ),
        (
            OverloadedError(retry_after=5),
            503,
            "overloaded",
            "There are too many connections at the moment. Please try again shortly.",
            {"Retry-After": "5"},
        ),
        (ConflictError("A reindex is running."), 409, "conflict", "A reindex is running.", {}),
        (NotAuthenticatedError("A token."), 401, "unauthorized", "A token.", {"WWW-Authenticate": "Bearer"}),
        (NotAuthorizedError("Not you."), 403, "forbidden", "Not you.", {}),
    ],
)
async def test_core_error_has_its_response(
    error: ExpectedError, status: int, code: str, message: str, headers: dict[str, str]
) -> None:
    response = await ask(failing(error))
    assert (response.status_code, response.json()["code"], response.json()["error"]) == (status, code, message)
    assert {name: response.headers.get(name) for name in ("Retry-After", "WWW-Authenticate")} == {
        "Retry-After": None,
        "WWW-Authenticate": None,
        **headers,
    }


async def test_an_unexpected_error_says_nothing_of_the_inside_but_the_log_says_all() -> None:
    with capture_logs() as log:
        answer = await ask(failing(RuntimeError(SECRET)))
    assert answer.status_code == 500
    assert answer.json() == {
        "success": False,
        "error": "Something went wrong on our side. Please try again.",
        "code": "internal",
        "request_id": "of-this-test",
    }
    (line,) = log
    assert (line["event"], line["log_level"], line["exc_info"]) == ("unexpected_error", "error", True)


async def test_an_answer_that_has_begun_is_broken_off_rather_than_mixed_with_another() -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield b"half of"
        raise RuntimeError(SECRET)

    with capture_logs(), pytest.raises(RuntimeError):
        await ask(StreamingResponse(breaks()))


async def test_a_good_answer_passes_unchanged() -> None:
    answer = await ask(PlainTextResponse("good"))
    assert (answer.status_code, answer.text) == (200, "good")


async def test_a_request_without_a_sane_id_gets_one_of_its_own(api: httpx2.AsyncClient) -> None:
    sent: tuple[dict[str, str], ...] = ({}, {}, {"X-Request-ID": "a b"}, {"X-Request-ID": "short"})
    given = {(await api.get("/livez", headers=headers)).headers["X-Request-ID"] for headers in sent}
    assert len(given) == len(sent)
    assert all(8 <= len(name) <= 64 and name.isalnum() for name in given)


async def test_what_an_answer_says_itself_stays() -> None:
    own = {"Cache-Control": "public, s-maxage=3600", "Content-Security-Policy": "default-src 'self'"}
    headers = (await ask(Response(headers=own), "/api/locations")).headers
    assert {name: headers[name] for name in own} == own
    assert headers["X-Frame-Options"] == "DENY"
