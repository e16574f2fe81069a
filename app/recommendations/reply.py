"""What a client gets of an answer: with a request id of its own, by which the log knows what it was shown."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from starlette.types import Scope

from app.answers import JSON
from app.http_caching import Header, Prepared
from app.recommendations.answers import Answer
from app.tracking.entries import RequestLog

HEADERS = ((b"content-type", JSON.encode()), (b"vary", b"Accept-Encoding"), (b"cache-control", b"private, no-store"))
GZIPPED = (b"content-encoding", b"gzip")
MILLISECOND = timedelta(milliseconds=1)


def reply(scope: Scope, answer: Answer, asked_at: datetime) -> Prepared:
    request_id = uuid4()
    scope["state"]["request_logs"].add(
        RequestLog(
            request_id=request_id,
            session_id=_session_id(scope),
            asked_at=asked_at,
            response_time_ms=round((datetime.now(UTC) - asked_at) / MILLISECOND),
            note=answer.body.note,
        )
    )
    content = answer.body.close(b'"request_id":"%b"' % str(request_id).encode())
    headers: list[Header] = [(b"content-length", b"%d" % len(content)), *HEADERS]
    if answer.body.gzipped:
        headers.append(GZIPPED)
    if answer.warning:
        headers.append((b"warning", answer.warning.encode()))
    return Prepared(200, headers, content)


def _session_id(scope: Scope) -> str:
    """As the client sent it, empty if it did not."""
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-session-id"), "")
