"""Reference data: what the pages choose from."""

from starlette.responses import Response

from app.backends.database import ReadSession
from app.endpoints.cached import answer, listing, reference_data, single
from app.endpoints.endpoint import Endpoint
from app.http.errors import not_found
from app.lifespan import ApiRequest
from app.repositories import reference_data as repository
from app.repositories.templates import templates_of
from schemas.api.entities import Company, Country, Guide, Tag, Template, TripType
from schemas.api.envelopes import Listed, Page, Single
from schemas.api.queries import CountriesQuery, PageQuery
from schemas.api.reference_data import CompanyDetails, ContinentName, Locations
from schemas.enums import Continent

COUNTRIES = reference_data("country")
GUIDES = reference_data("guide")
TYPES = reference_data("type")
TAGS = reference_data("tag")
COMPANIES = reference_data("company")
COMPANY_WITH_COUNT = reference_data("company", "template")
COMPANY_TEMPLATES = reference_data("company", "template", "country", "tag", "type")


async def locations(request: ApiRequest) -> Response:
    async def read(session: ReadSession) -> Locations:
        countries = await repository.places(session)
        present = sorted({country.continent for country in countries}, key=lambda continent: continent.name)
        return Locations.model_validate(
            {"count": len(countries), "countries": countries, "continents": list(map(_named, present))}
        )

    return await answer(request, COUNTRIES, "locations", read)


def _named(continent: Continent) -> ContinentName:
    return ContinentName(value=continent, name_he=continent.hebrew)


async def countries(request: ApiRequest, query: CountriesQuery) -> Response:
    async def read(session: ReadSession) -> Listed[Country]:
        return Listed[Country].of(await repository.countries(session, query.continent))

    return await answer(request, COUNTRIES, f"countries:{query.continent}", read)


async def company_templates(request: ApiRequest, query: PageQuery) -> Response:
    number: int = request.path_params["id"]

    async def read(session: ReadSession) -> Page[Template]:
        if not await repository.company_exists(session, number):
            raise not_found("Company")
        return Page[Template].of(await templates_of(session, number, query), query)

    return await answer(request, COMPANY_TEMPLATES, f"company:{number}:templates:{query.limit}:{query.offset}", read)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/locations",
        handler=locations,
        summary="Countries and continents to choose from",
        tag="resources",
        answer=Locations,
        errors=(503,),
    ),
    Endpoint(
        method="GET",
        path="/api/countries",
        handler=countries,
        summary="Countries by name, of a continent if one is given",
        tag="resources",
        query=CountriesQuery,
        answer=Listed[Country],
        errors=(503,),
    ),
    Endpoint(
        method="GET",
        path="/api/countries/{id:int}",
        handler=single(COUNTRIES, Single[Country], repository.country, thing="Country"),
        summary="A country",
        tag="resources",
        answer=Single[Country],
        errors=(404, 503),
    ),
    Endpoint(
        method="GET",
        path="/api/guides",
        handler=listing(GUIDES, Listed[Guide], repository.active_guides),
        summary="Active guides by name",
        tag="resources",
        answer=Listed[Guide],
        errors=(503,),
    ),
    Endpoint(
        method="GET",
        path="/api/guides/{id:int}",
        handler=single(GUIDES, Single[Guide], repository.guide, thing="Guide"),
        summary="A guide, also an inactive one",
        tag="resources",
        answer=Single[Guide],
        errors=(404, 503),
    ),
    Endpoint(
        method="GET",
        path="/api/trip-types",
        handler=listing(TYPES, Listed[TripType], repository.trip_types),
        summary="Trip types by name",
        tag="resources",
        answer=Listed[TripType],
        errors=(503,),
    ),
    Endpoint(
        method="GET",
        path="/api/tags",
        handler=listing(TAGS, Listed[Tag], repository.tags),
        summary="Tags by name: the themes of trips",
        tag="resources",
        answer=Listed[Tag],
        errors=(503,),
    ),
    Endpoint(
        method="GET",
        path="/api/v2/companies",
        handler=listing(COMPANIES, Listed[Company], repository.active_companies),
        summary="Active companies by name",
        tag="resources",
        answer=Listed[Company],
        errors=(503,),
    ),
    Endpoint(
        method="GET",
        path="/api/v2/companies/{id:int}",
        handler=single(COMPANY_WITH_COUNT, Single[CompanyDetails], repository.company, thing="Company"),
        summary="A company, also an inactive one, with the number of its active templates",
        tag="resources",
        answer=Single[CompanyDetails],
        errors=(404, 503),
    ),
    Endpoint(
        method="GET",
        path="/api/v2/companies/{id:int}/templates",
        handler=company_templates,
        summary="A company's active templates by title",
        tag="resources",
        query=PageQuery,
        answer=Page[Template],
        errors=(404, 503),
    ),
)
