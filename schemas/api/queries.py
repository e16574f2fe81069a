"""Query parameters. Unknown parameters are ignored."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from schemas.enums import Continent, Status
from schemas.lenient import continent, iso_date, optional, parse_amount, parse_id
from schemas.messages.validation import invalid

MAX_PAGE = 100
MAX_TRIPS = 1000
MAX_OFFSET = 10_000


class BookableStatus(StrEnum):
    """Statuses that can be searched for."""

    OPEN = Status.OPEN.value
    GUARANTEED = Status.GUARANTEED.value
    LAST_PLACES = Status.LAST_PLACES.value

    @classmethod
    def parse(cls, text: object) -> "BookableStatus":
        """Parse a member name, in any case, with blanks for underscores. Raises: ValueError."""
        try:
            return cls["_".join(str(text).replace("_", " ").split()).upper()]
        except KeyError:
            raise invalid("not_listed", names=", ".join(cls.__members__)) from None


def _schema(**schema: Any) -> WithJsonSchema:
    return WithJsonSchema(schema)


IdFilter = Annotated[int | None, optional(parse_id), _schema(type="integer")]
"""An id or a level: any number is accepted; a number that no row has matches nothing."""
DateFilter = Annotated[date | None, optional(iso_date), _schema(type="string", format="date")]
PriceFilter = Annotated[Decimal | None, optional(parse_amount), _schema(type="number", minimum=0)]
ContinentFilter = Annotated[Continent | None, optional(continent), _schema(enum=[*Continent.__members__, *Continent])]
StatusFilter = Annotated[
    BookableStatus | None, optional(BookableStatus.parse), _schema(enum=[*BookableStatus.__members__])
]


class Query(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, use_attribute_docstrings=True)


class CountriesQuery(Query):
    continent: ContinentFilter = None
    """Continent of the countries; any by default."""


class PageQuery(Query):
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50
    """Highest number of items on a page."""
    offset: Annotated[int, Field(ge=0, le=MAX_OFFSET)] = 0
    """Number of items to skip."""

    def without_page(self) -> Self:
        """Return the query that is the same for all pages of the list."""
        return self.model_copy(update={"offset": 0, "limit": 1})


class TemplatesQuery(PageQuery):
    company_id: IdFilter = None
    """Id of the company; any by default."""
    trip_type_id: IdFilter = None
    """Id of the trip type; any by default."""
    country_id: IdFilter = None
    """Matches any country of the template."""
    difficulty: IdFilter = None
    """Difficulty, from 1 (easy) to 5 (hard); any by default."""
    include_occurrences: bool = False
    """Whether each template has its next departures."""


class OccurrencesQuery(PageQuery):
    template_id: IdFilter = None
    """Id of the template; any by default."""
    guide_id: IdFilter = None
    """Id of the guide; any by default."""
    status: StatusFilter = None
    """Status of the departures; any that can be booked by default."""
    year: Annotated[int | None, Field(ge=1, le=9999), _schema(type="integer", minimum=1, maximum=9999)] = None
    """Year of the start; any by default."""
    month: Annotated[int | None, Field(ge=1, le=12), _schema(type="integer", minimum=1, maximum=12)] = None
    """Month of the start, from 1 to 12; any by default."""
    start_date: DateFilter = None
    """First day on which the departure may start; today by default."""
    end_date: DateFilter = None
    """Last day on which the departure may start."""
    min_price: PriceFilter = None
    """Lowest price per person, in the platform's currency."""
    max_price: PriceFilter = None
    """Highest price per person, in the platform's currency."""
    include_template: bool = True
    """Whether each departure has its template."""


class TripOccurrencesQuery(PageQuery):
    limit: Annotated[int, Field(ge=1, le=MAX_TRIPS)] = MAX_TRIPS
    """Highest number of departures on a page."""
    trip_type_id: IdFilter = None
    """Id of the trip type; any by default."""
    country_id: IdFilter = None
    """Matches the template's primary country."""
    guide_id: IdFilter = None
    """Id of the guide; any by default."""
    status: StatusFilter = None
    """Status of the departures; any that can be booked by default."""
    difficulty: IdFilter = None
    """Difficulty, from 1 (easy) to 5 (hard); any by default."""
