"""Errors below HTTP. `app.http.errors` maps them to responses: status, code, message and `Retry-After`."""

from elasticsearch import ApiError, TransportError
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from schemas.api.errors import ErrorCode
from schemas.messages.message import Message

BACKEND_ERRORS = (SQLAlchemyError, OSError, ApiError, TransportError, RedisError)
"""What the clients of Postgres, Redis and Elasticsearch raise when a server is down, slow or rejects a call."""


class ExpectedError(Exception):
    """Base of the errors that have a response of their own. Any other exception is a bug."""

    code: ErrorCode


class BackendError(ExpectedError):
    """A backend cannot serve a call now; the same call may succeed after `retry_after` seconds."""

    retry_after: int
    is_outage: bool | None = True
    """Whether the circuit breaker counts it as a failure of the backend, or as a success; None if it says nothing."""


class BackendUnavailableError(BackendError):
    """A backend is unreachable, failing or too slow, or its circuit breaker is open."""

    code: ErrorCode = "unavailable"

    def __init__(self, backend: Message, *, retry_after: int = 2, reason: str | None = None) -> None:
        """`backend` is a noun phrase that clients read, such as "the database"; they do not read `reason`."""
        super().__init__(f"{backend} is unavailable")
        self.backend = backend
        self.retry_after = retry_after
        self._reason = reason

    @property
    def reason(self) -> str:
        """What happened, without data: as it was given, or the type of the error that was the cause."""
        return self._reason or type(self.__cause__ or self).__name__


class BackendBusyError(BackendUnavailableError):
    """A call took too long while the backend responded to others: it works, but has more to do than it can."""

    is_outage = None


class TransactionConflictError(BackendUnavailableError):
    """Transactions conflicted again and again; the database itself works."""

    is_outage = False


class PoolExhaustedError(BackendUnavailableError):
    """No connection was free in time; whether the database works is for those to find out that use them."""

    is_outage = None


class DatabaseBlockedError(BackendUnavailableError):
    """A call waited for a lock for too long; the database itself works."""

    is_outage = False

    def __init__(self, backend: Message, *, pid: int, locks: str) -> None:
        """`pid` is the server process that holds the lock, `locks` what it holds, as tables and modes."""
        super().__init__(backend, reason=f"process {pid} holds {locks}")
        self.pid = pid
        self.locks = locks


class DatabaseDiffersError(BackendUnavailableError):
    """A statement failed because a table, a column or a right is missing; the database itself works."""

    is_outage = False


class OverloadedError(BackendError):
    """A queue or a connection pool is full."""

    code: ErrorCode = "overloaded"

    def __init__(self, *, retry_after: int = 1) -> None:
        super().__init__("overloaded")
        self.retry_after = retry_after


class ExplainedError(ExpectedError):
    """Base of the errors whose message is shown to clients."""

    def __init__(self, message: Message) -> None:
        super().__init__(str(message))
        self.message = message


class ConflictError(ExplainedError):
    """The present state does not allow the operation; the message says why."""

    code: ErrorCode = "conflict"


class NotAuthenticatedError(ExplainedError):
    """Valid credentials are missing."""

    code: ErrorCode = "unauthorized"


class NotAuthorizedError(ExplainedError):
    """The credentials do not allow the operation."""

    code: ErrorCode = "forbidden"
