"""Write sessions that began while Postgres was unavailable."""

from collections.abc import Sequence
from datetime import datetime

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from schemas.api.tracking import SessionRequest
from tracking.visitors import Visitor, start_session


def encode_session(start: SessionRequest, visitor: Visitor, received_at: datetime) -> bytes:
    """Return the stream entry of a session."""
    return orjson.dumps(
        {
            **start.model_dump(),
            "verified_email": visitor.email,
            "network": visitor.network,
            "user_agent": visitor.user_agent,
            "received_at": received_at,
        }
    )


async def write_sessions(connection: AsyncConnection, bodies: Sequence[bytes]) -> None:
    """Start the sessions, given as JSON objects, in this order. Raises: ValueError for one that is malformed."""
    async with AsyncSession(connection) as session:
        for body in bodies:
            record = orjson.loads(body)
            visitor = Visitor(record["verified_email"], record["network"], record["user_agent"])
            began = datetime.fromisoformat(record["received_at"])
            await start_session(session, SessionRequest.model_validate(record), visitor, began=began)
