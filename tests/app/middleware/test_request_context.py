from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.testing import capture_logs

from app.backends.labels import DATABASE_LABEL
from app.http.errors import ApiError, InvalidField, bad_request, timed_out
from app.lifecycle.shutdown import DrainState
from app.middleware.request_context import RequestContextMiddleware
from core.errors import (
    BackendUnavailableError,
    ConflictError,
    DatabaseBlockedError,
    ExpectedError,
    NotAuthenticatedError,
    NotAuthorizedError,
    OverloadedError,
)
from schemas.messages.message import Message

EXPLAINED = Message("administrators_only")
BLOCKED = DatabaseBlockedError(DATABASE_LABEL, pid=7, locks="countries AccessExclusiveLock")
SECRET = "postgresql://app:password@10.0.0.5/platform"


async def get(application: ASGIApp, path: str = "/") -> httpx2.Response:
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


async def test_api_error_becomes_its_response() -> None:
    error = ApiError(409, "conflict", Message("overloaded"), headers={"Retry-After": "7"})
    response = await get(failing(error))
    assert response.status_code == 409
    assert response.headers["Retry-After"] == "7"
    assert response.json() == {
        "success": False,
        "error": str(Message("overloaded")),
        "code": "conflict",
        "request_id": "of-this-test",
    }


async def test_invalid_fields_are_listed_as_details() -> None:
    response = await get(failing(bad_request([InvalidField("limit", Message("not_whole"))])))
    assert response.json()["details"] == [{"field": "limit", "message": "should be a whole number"}]
    assert response.json()["error"] == "Please correct: limit should be a whole number."


@pytest.mark.parametrize("error", [BackendUnavailableError(DATABASE_LABEL), OverloadedError(), timed_out(), BLOCKED])
async def test_temporary_errors_use_words_the_client_retries_on(error: ExpectedError) -> None:
    response = await get(failing(error))
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert "connection" in response.json()["error"] or "timeout" in response.json()["error"]


@pytest.mark.parametrize(
    ("error", "status", "code", "message", "headers"),
    [
        (
            BackendUnavailableError(DATABASE_LABEL),
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
        (
            BLOCKED,
            503,
            "unavailable",
            "The connection to the database waits for a lock: process 7 of Postgres holds countries"
            " AccessExclusiveLock. Please try again shortly.",
            {"Retry-After": "2"},
        ),
        (ConflictError(EXPLAINED), 409, "conflict", str(EXPLAINED), {}),
        (NotAuthenticatedError(EXPLAINED), 401, "unauthorized", str(EXPLAINED), {"WWW-Authenticate": "Bearer"}),
        (NotAuthorizedError(EXPLAINED), 403, "forbidden", str(EXPLAINED), {}),
    ],
)
async def test_core_error_has_its_response(
    error: ExpectedError, status: int, code: str, message: str, headers: dict[str, str]
) -> None:
    response = await get(failing(error))
    assert (response.status_code, response.json()["code"], response.json()["error"]) == (status, code, message)
    assert {name: response.headers.get(name) for name in ("Retry-After", "WWW-Authenticate")} == {
        "Retry-After": None,
        "WWW-Authenticate": None,
        **headers,
    }


async def test_unexpected_error_is_logged_and_not_disclosed() -> None:
    with capture_logs() as log:
        response = await get(failing(RuntimeError(SECRET)))
    assert response.status_code == 500
    assert response.json() == {
        "success": False,
        "error": "Something went wrong on our side. Please try again.",
        "code": "internal",
        "request_id": "of-this-test",
    }
    line, access_line = log
    assert access_line["status"] == 500
    assert (line["event"], line["log_level"], line["exc_info"]) == ("unexpected_error", "error", True)


async def test_error_after_start_aborts_the_response() -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield b"half of"
        raise RuntimeError(SECRET)

    with capture_logs(), pytest.raises(RuntimeError):
        await get(StreamingResponse(breaks()))


async def test_success_passes_unchanged() -> None:
    response = await get(PlainTextResponse("good"))
    assert (response.status_code, response.text) == (200, "good")


async def test_invalid_request_id_is_replaced(api: httpx2.AsyncClient) -> None:
    sent: tuple[dict[str, str], ...] = ({}, {}, {"X-Request-ID": "a b"}, {"X-Request-ID": "short"})
    given = {(await api.get("/livez", headers=headers)).headers["X-Request-ID"] for headers in sent}
    assert len(given) == len(sent)
    assert all(8 <= len(name) <= 64 and name.isalnum() for name in given)


async def test_response_overrides_default_headers() -> None:
    own = {"Cache-Control": "public, s-maxage=3600", "Content-Security-Policy": "default-src 'self'"}
    headers = (await get(Response(headers=own), "/api/locations")).headers
    assert {name: headers[name] for name in own} == own
    assert headers["X-Frame-Options"] == "DENY"
