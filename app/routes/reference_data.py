"""Reference data: countries, guides, trip types and tags, from which clients build their search forms."""

from app.backends.database import ReadSession
from app.endpoints.cached_endpoint import detail_reader, list_reader, reference_policy
from app.endpoints.endpoint import Endpoint
from app.repositories import reference_data
from app.repositories.valid_rows import valid_items
from schemas.api.entities import Country, Guide, Tag, TripType
from schemas.api.envelopes import DetailResponse, ListResponse
from schemas.api.queries import CountriesQuery
from schemas.api.reference_data import ContinentName, Locations
from schemas.enums import Continent

COUNTRIES = reference_policy("country")
GUIDES = reference_policy("guide")
TRIP_TYPES = reference_policy("type")
TAGS = reference_policy("tag")


async def get_locations(session: ReadSession) -> Locations:
    countries = await valid_items(Country, await reference_data.list_locations(session))
    continents = sorted({country.continent for country in countries}, key=_continent_label)
    return Locations.model_validate(
        {"count": len(countries), "countries": countries, "continents": [*map(_continent_name, continents)]}
    )


def _continent_label(continent: Continent | str) -> str:
    return continent.name if isinstance(continent, Continent) else continent


def _continent_name(continent: Continent | str) -> ContinentName:
    """Return the continent with its Hebrew name; a label that the platform has added is shown as it is."""
    return ContinentName(value=continent, name_he=continent.hebrew if isinstance(continent, Continent) else continent)


async def list_countries(session: ReadSession, query: CountriesQuery) -> ListResponse[Country]:
    countries = await reference_data.list_countries(session, query.continent)
    return ListResponse[Country].of(await valid_items(Country, countries))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/locations",
        handler=get_locations,
        summary="List countries and continents",
        description="Return every country, by its Hebrew name, and the continents that have countries.",
        tag="resources",
        rate_limit="resources",
        fast_path=True,
        cache=COUNTRIES,
        response=Locations,
    ),
    Endpoint(
        method="GET",
        path="/api/countries",
        handler=list_countries,
        summary="List countries",
        description="Return countries by name, optionally of one continent. Antarctica is only listed as a continent.",
        tag="resources",
        rate_limit="resources",
        fast_path=True,
        cache=COUNTRIES,
        query=CountriesQuery,
        response=ListResponse[Country],
    ),
    Endpoint(
        method="GET",
        path="/api/countries/{id:int}",
        handler=detail_reader(DetailResponse[Country], reference_data.get_country, thing="Country"),
        summary="Return a country",
        description="Return the country with this id.",
        tag="resources",
        rate_limit="resources",
        fast_path=True,
        cache=COUNTRIES,
        response=DetailResponse[Country],
    ),
    Endpoint(
        method="GET",
        path="/api/guides",
        handler=list_reader(ListResponse[Guide], reference_data.list_active_guides),
        summary="List guides",
        description="Return active guides by name.",
        tag="resources",
        rate_limit="resources",
        fast_path=True,
        cache=GUIDES,
        response=ListResponse[Guide],
    ),
    Endpoint(
        method="GET",
        path="/api/guides/{id:int}",
        handler=detail_reader(DetailResponse[Guide], reference_data.get_guide, thing="Guide"),
        summary="Return a guide",
        description="Return the guide with this id, active or not.",
        tag="resources",
        rate_limit="resources",
        fast_path=True,
        cache=GUIDES,
        response=DetailResponse[Guide],
    ),
    Endpoint(
        method="GET",
        path="/api/trip-types",
        handler=list_reader(ListResponse[TripType], reference_data.list_trip_types),
        summary="List trip types",
        description="Return all trip types by name.",
        tag="resources",
        rate_limit="resources",
        fast_path=True,
        cache=TRIP_TYPES,
        response=ListResponse[TripType],
    ),
    Endpoint(
        method="GET",
        path="/api/tags",
        handler=list_reader(ListResponse[Tag], reference_data.list_tags),
        summary="List tags",
        description="Return all tags, which are the themes of trips, by name.",
        tag="resources",
        rate_limit="resources",
        fast_path=True,
        cache=TAGS,
        response=ListResponse[Tag],
    ),
)
