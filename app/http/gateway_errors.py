"""Errors that the gateway sends by itself, in the one shape in which clients receive errors."""

from collections.abc import Mapping

from app.http.errors import ApiError, rate_limited, request_timeout, timed_out, too_large, unavailable
from schemas.messages.message import Message

RETRY_SECONDS = 2


def gateway_errors(max_body: int) -> Mapping[int, ApiError]:
    """Return the error for each status that the gateway sends by itself; `max_body` is in bytes."""
    malformed = ApiError(400, "bad_request", Message("request_malformed"))
    # The gateway does not know whether the processes or the network between are to blame.
    down = unavailable(Message("service"), retry_after=RETRY_SECONDS)
    return {
        400: malformed,
        404: ApiError(404, "not_found", Message("endpoint_not_found")),
        405: ApiError(405, "method_not_allowed", Message("method_not_allowed")),
        408: request_timeout(),
        413: too_large(max_body),
        429: rate_limited(RETRY_SECONDS, {}),
        500: ApiError(500, "internal", Message("internal")),
        501: ApiError(501, "bad_request", Message("feature_not_implemented")),
        502: down,
        503: down,
        504: timed_out(),
        505: ApiError(505, "bad_request", Message("version_not_supported")),
    }
