"""What query strings may hold. Parameters that are not named here are ignored."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from schemas.enums import Continent, Status
from schemas.lenient import an_id, continent, iso_date, money, optional

MAX_PAGE = 100
MAX_TRIPS = 1000
MAX_OFFSET = 10_000


class Bookable(StrEnum):
    """The states that can be searched for."""

    OPEN = Status.OPEN.value
    GUARANTEED = Status.GUARANTEED.value
    LAST_PLACES = Status.LAST_PLACES.value

    @classmethod
    def parse(cls, text: object) -> "Bookable":
        """By member name, in any case, with blanks for underscores. Raises ValueError."""
        try:
            return cls["_".join(str(text).replace("_", " ").split()).upper()]
        except KeyError:
            raise ValueError(f"should be one of: {', '.join(cls.__members__)}") from None


def _shown(**schema: Any) -> WithJsonSchema:
    return WithJsonSchema(schema)


Number = Annotated[int | None, optional(an_id), _shown(type="integer")]
"""An id or a level: any number may be asked for, those that nothing has match nothing."""
Day = Annotated[date | None, optional(iso_date), _shown(type="string", format="date")]
Price = Annotated[Decimal | None, optional(money), _shown(type="number", minimum=0)]
Place = Annotated[Continent | None, optional(continent), _shown(enum=[*Continent.__members__, *Continent])]
State = Annotated[Bookable | None, optional(Bookable.parse), _shown(enum=[*Bookable.__members__])]


class Query(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class CountriesQuery(Query):
    continent: Place = None


class PageQuery(Query):
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50
    offset: Annotated[int, Field(ge=0, le=MAX_OFFSET)] = 0


class TemplatesQuery(PageQuery):
    company_id: Number = None
    trip_type_id: Number = None
    country_id: Number = None
    """Any country of the template."""
    difficulty: Number = None
    include_occurrences: bool = False


class OccurrencesQuery(PageQuery):
    template_id: Number = None
    guide_id: Number = None
    status: State = None
    year: Annotated[int | None, Field(ge=1, le=9999), _shown(type="integer", minimum=1, maximum=9999)] = None
    month: Annotated[int | None, Field(ge=1, le=12), _shown(type="integer", minimum=1, maximum=12)] = None
    start_date: Day = None
    end_date: Day = None
    """The last day on which the departure may start."""
    min_price: Price = None
    max_price: Price = None
    include_template: bool = True


class TripOccurrencesQuery(PageQuery):
    limit: Annotated[int, Field(ge=1, le=MAX_TRIPS)] = MAX_TRIPS
    trip_type_id: Number = None
    country_id: Number = None
    """The template's primary country."""
    guide_id: Number = None
    status: State = None
    difficulty: Number = None
