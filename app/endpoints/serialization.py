"""JSON of responses, in slices where they are long."""

import asyncio

from pydantic import BaseModel

from schemas.api.entities import to_json

SLICE = 50
"""Items of a list that are serialized at a time: other requests are served in between."""


async def serialize(response: BaseModel) -> bytes:
    """Return the same bytes as `to_json`."""
    items = getattr(response, "data", None)
    if not isinstance(items, list) or len(items) <= SLICE:
        return to_json(response)
    # `data` is the last field of an envelope.
    start = to_json(response.model_copy(update={"data": []})).removesuffix(b"]}")
    slices: list[bytes] = []
    for first in range(0, len(items), SLICE):
        part = response.model_copy(update={"data": items[first : first + SLICE]})
        slices.append(to_json(part).removeprefix(start).removesuffix(b"]}"))
        await asyncio.sleep(0)
    return start + b",".join(slices) + b"]}"
