"""Weight sets in Postgres: added as new versions, never changed; the platform's own is built in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from pydantic import ValidationError
from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.tables import StoredWeights
from schemas.weight_sets import NAME_FORM, PLATFORM, is_weight_set_name, is_weight_set_reference
from scoring.weight_set import PLATFORM_SET, WeightSet
from scoring.weights import MAX_POINTS, PLATFORM_WEIGHTS, Weights

log = structlog.get_logger()

LOCK = text("LOCK TABLE smarttrip.weight_sets IN SHARE ROW EXCLUSIVE MODE")
"""Two that are added at the same time under one name get different versions."""


@dataclass(frozen=True)
class WeightSetSummary:
    reference: str
    created_at: datetime | None
    """None of the built-in set."""
    created_by: str
    comment: str
    changes: dict[str, int]
    """The points that differ from the platform's own."""


class WeightSetError(Exception):
    """A weight set that cannot be stored; `str()` is a sentence that says why."""


def parse_weights(points: object) -> Weights:
    """Validate points by rule; a rule that is not among them has the platform's. Raises: WeightSetError."""
    try:
        return Weights.model_validate(points)
    except ValidationError as error:
        raise WeightSetError(_describe(error)) from None


def _describe(error: ValidationError) -> str:
    """Return a sentence that says of the first wrong rule what would be right."""
    first = error.errors(include_url=False)[0]
    if not first["loc"]:
        of_all = first["msg"].removeprefix("Value error, ")
        return f"{of_all}." if first["type"] == "value_error" else "A weight set should be an object of points by rule."
    rule = str(first["loc"][0])
    own = getattr(PLATFORM_WEIGHTS, rule, None)
    if own is None:
        return f"There is no rule {rule}; the rules are {', '.join(Weights.model_fields)}."
    return f"{rule} should be a whole number from {f'0 to {MAX_POINTS}' if own > 0 else f'-{MAX_POINTS} to 0'}."


async def add(connection: AsyncConnection, name: str, weights: Weights, *, by: str, comment: str = "") -> WeightSet:
    """Store the next version of a set; return it. Raises: WeightSetError."""
    if not is_weight_set_name(name):
        raise WeightSetError(f"The name {NAME_FORM}.")
    await connection.execute(LOCK)
    last = await connection.scalar(select(func.max(StoredWeights.version)).where(StoredWeights.name == name))
    version = (last or 0) + 1
    row = {"name": name, "version": version, "points": weights.model_dump(), "created_by": by, "comment": comment}
    await connection.execute(insert(StoredWeights).values(row))
    return WeightSet(f"{name}@{version}", weights)


async def find(connection: AsyncConnection, reference: str) -> WeightSet | None:
    """Return the set, or None if there is none that this release can use."""
    if reference == PLATFORM:
        return PLATFORM_SET
    if not is_weight_set_reference(reference):
        return None
    name, _, version = reference.partition("@")
    of_version = (StoredWeights.name == name) & (StoredWeights.version == int(version))
    points = await connection.scalar(select(StoredWeights.points).where(of_version))
    if points is None:
        return None
    try:
        return WeightSet(reference, parse_weights(points))
    except WeightSetError as error:
        log.error("weights_unusable", weights=reference, reason=str(error))
        return None


async def summaries(connection: AsyncConnection) -> Sequence[WeightSetSummary]:
    """Return all sets, the built-in one first, the others by name and version."""
    rows = await connection.execute(select(StoredWeights).order_by(StoredWeights.name, StoredWeights.version))
    built_in = WeightSetSummary(PLATFORM, None, "built in", "The platform's own.", {})
    return [
        built_in,
        *(
            WeightSetSummary(
                f"{row.name}@{row.version}", row.created_at, row.created_by, row.comment, _changes(row.points)
            )
            for row in rows
        ),
    ]


def _changes(points: dict[str, int]) -> dict[str, int]:
    own = PLATFORM_WEIGHTS.model_dump()
    return {name: points[name] for name in own if points.get(name, own[name]) != own[name]}
