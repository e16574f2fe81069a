"""Response envelopes: how responses wrap entities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, Self, TypeVar, get_args

import orjson
from pydantic import ConfigDict, Field

from schemas.api.entities import Entity
from schemas.api.queries import PageQuery

Item = TypeVar("Item")


Success = Annotated[Literal[True], Field(description="True; responses with an error have false.")]


class Envelope(Entity):
    """A response whose field `data` has one item or several."""

    # pydantic reads attribute docstrings of a parametrised generic from the source of the module that parametrises it.
    model_config = ConfigDict(use_attribute_docstrings=False)

    @classmethod
    def item_model(cls) -> type[Entity]:
        """Return the model of an item."""
        annotation: Any = cls.model_fields["data"].annotation
        item: type[Entity] = next(iter(get_args(annotation)), annotation)
        return item


class DetailResponse(Envelope, Generic[Item]):
    success: Success = True
    data: Annotated[Item, Field(description="What was asked for.")]

    @classmethod
    def of(cls, row: object) -> Self:
        return cls.model_validate({"data": row})

    @classmethod
    def json_of(cls, row: bytes) -> bytes:
        """Return the JSON of the response whose item has this JSON."""
        return orjson.dumps({"success": True, "data": orjson.Fragment(row)})


class ListResponse(Envelope, Generic[Item]):
    """A complete list."""

    success: Success = True
    count: Annotated[int, Field(description="Number of items in `data`.")]
    data: Annotated[list[Item], Field(description="All items.")]

    @classmethod
    def of(cls, rows: Sequence[Item]) -> Self:
        return cls.model_validate({"count": len(rows), "data": rows})


@dataclass(frozen=True, slots=True)
class PageRows(Generic[Item]):
    """The rows of a page, and the number of rows on all pages."""

    rows: Sequence[Item]
    total: int


class PageResponse(Envelope, Generic[Item]):
    """A page of a longer list."""

    success: Success = True
    count: Annotated[int, Field(description="Number of items in `data`.")]
    total: Annotated[int, Field(description="Number of items on all pages.")]
    offset: Annotated[int, Field(description="Number of items that were skipped.")]
    limit: Annotated[int, Field(description="Highest number of items on a page.")]
    data: Annotated[list[Item], Field(description="Items of the page.")]

    @classmethod
    def of(cls, found: PageRows[Any], query: PageQuery) -> Self:
        return cls.model_validate(
            {
                "count": len(found.rows),
                "total": found.total,
                "offset": query.offset,
                "limit": query.limit,
                "data": found.rows,
            }
        )

    @classmethod
    def json_of(cls, found: PageRows[bytes], query: PageQuery) -> bytes:
        """Return the JSON of the response whose items have this JSON."""
        fields = cls.of(PageRows((), found.total), query).model_dump()
        items = [orjson.Fragment(row) for row in found.rows]
        return orjson.dumps({**fields, "count": len(items), "data": items})
