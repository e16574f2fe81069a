"""Reference data: what the pages choose from."""

from starlette.responses import Response

from app.backends.database import ReadSession
from app.endpoints.cached import cached_json, detail_endpoint, list_endpoint, reference_policy
from app.endpoints.endpoint import Endpoint
from app.http.errors import not_found
from app.repositories import reference_data as repository
from app.repositories.templates import templates_of
from app.state import ApiRequest
from schemas.api.entities import Company, Country, Guide, Tag, Template, TripType
from schemas.api.envelopes import DetailResponse, ListResponse, PageResponse
from schemas.api.queries import CountriesQuery, PageQuery
from schemas.api.reference_data import CompanyDetails, ContinentName, Locations
from schemas.enums import Continent

COUNTRIES = reference_policy("country")
GUIDES = reference_policy("guide")
TYPES = reference_policy("type")
TAGS = reference_policy("tag")
COMPANIES = reference_policy("company")
COMPANY_WITH_COUNT = reference_policy("company", "template")
COMPANY_TEMPLATES = reference_policy("company", "template", "country", "tag", "type")


async def locations(request: ApiRequest) -> Response:
    async def read(session: ReadSession) -> Locations:
        countries = await repository.all_countries(session)
        present = sorted({country.continent for country in countries}, key=lambda continent: continent.name)
        return Locations.model_validate(
            {"count": len(countries), "countries": countries, "continents": list(map(_named, present))}
        )

    return await cached_json(request, COUNTRIES, "locations", read)


def _named(continent: Continent) -> ContinentName:
    return ContinentName(value=continent, name_he=continent.hebrew)


async def countries(request: ApiRequest, query: CountriesQuery) -> Response:
    async def read(session: ReadSession) -> ListResponse[Country]:
        return ListResponse[Country].of(await repository.countries(session, query.continent))

    return await cached_json(request, COUNTRIES, f"countries:{query.continent}", read)


async def company_templates(request: ApiRequest, query: PageQuery) -> Response:
    number: int = request.path_params["id"]

    async def read(session: ReadSession) -> PageResponse[Template]:
        if not await repository.company_exists(session, number):
            raise not_found("Company")
        return PageResponse[Template].of(await templates_of(session, number, query), query)

    return await cached_json(
        request, COMPANY_TEMPLATES, f"company:{number}:templates:{query.limit}:{query.offset}", read
    )


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/locations",
        handler=locations,
        summary="Countries and continents to choose from",
        tag="resources",
        fast_path=True,
        rate_limit="resources",
        answer=Locations,
        errors=(503,),
    ),
    Endpoint(
        method="GET",
        path="/api/countries",
        handler=countries,
        summary="Countries by name, of a continent if one is given",
        tag="resources",
        fast_path=True,
        rate_limit="resources",
        query=CountriesQuery,
        answer=ListResponse[Country],
        errors=(503,),
    ),
    Endpoint(
        method="GET",
        path="/api/countries/{id:int}",
        handler=detail_endpoint(COUNTRIES, DetailResponse[Country], repository.country, thing="Country"),
        summary="A country",
        tag="resources",
        fast_path=True,
        rate_limit="resources",
        answer=DetailResponse[Country],
        errors=(404, 503),
    ),
    Endpoint(
        method="GET",
        path="/api/guides",
        handler=list_endpoint(GUIDES, ListResponse[Guide], repository.active_guides),
        summary="Active guides by name",
        tag="resources",
        fast_path=True,
        rate_limit="resources",
        answer=ListResponse[Guide],
        errors=(503,),
    ),
    Endpoint(
        method="GET",
        path="/api/guides/{id:int}",
        handler=detail_endpoint(GUIDES, DetailResponse[Guide], repository.guide, thing="Guide"),
        summary="A guide, also an inactive one",
        tag="resources",
        fast_path=True,
        rate_limit="resources",
        answer=DetailResponse[Guide],
        errors=(404, 503),
    ),
    Endpoint(
        method="GET",
        path="/api/trip-types",
        handler=list_endpoint(TYPES, ListResponse[TripType], repository.trip_types),
        summary="Trip types by name",
        tag="resources",
        fast_path=True,
        rate_limit="resources",
        answer=ListResponse[TripType],
        errors=(503,),
    ),
    Endpoint(
        method="GET",
        path="/api/tags",
        handler=list_endpoint(TAGS, ListResponse[Tag], repository.tags),
        summary="Tags by name: the themes of trips",
        tag="resources",
        fast_path=True,
        rate_limit="resources",
        answer=ListResponse[Tag],
        errors=(503,),
    ),
    Endpoint(
        method="GET",
        path="/api/v2/companies",
        handler=list_endpoint(COMPANIES, ListResponse[Company], repository.active_companies),
        summary="Active companies by name",
        tag="resources",
        fast_path=True,
        rate_limit="resources",
        answer=ListResponse[Company],
        errors=(503,),
    ),
    Endpoint(
        method="GET",
        path="/api/v2/companies/{id:int}",
        handler=detail_endpoint(
            COMPANY_WITH_COUNT, DetailResponse[CompanyDetails], repository.company, thing="Company"
        ),
        summary="A company, also an inactive one, with the number of its active templates",
        tag="resources",
        fast_path=True,
        rate_limit="resources",
        answer=DetailResponse[CompanyDetails],
        errors=(404, 503),
    ),
    Endpoint(
        method="GET",
        path="/api/v2/companies/{id:int}/templates",
        handler=company_templates,
        summary="A company's active templates by title",
        tag="resources",
        fast_path=True,
        rate_limit="resources",
        query=PageQuery,
        answer=PageResponse[Template],
        errors=(404, 503),
    ),
)
