"""Companies, which organise trips, and their templates."""

from app.backends.database import ReadSession
from app.endpoints.cached_endpoint import detail_reader, list_reader, reference_policy
from app.endpoints.endpoint import Endpoint
from app.http.errors import not_found
from app.repositories import companies, templates
from app.repositories.valid_rows import valid_page
from schemas.api.entities import Company, Template
from schemas.api.envelopes import DetailResponse, ListResponse, PageResponse
from schemas.api.queries import PageQuery
from schemas.api.reference_data import CompanyDetails

COMPANIES = reference_policy("company")
COMPANY_DETAILS = reference_policy("company", "template")
COMPANY_TEMPLATES = reference_policy("company", "template", "country", "tag", "type")


async def list_templates(session: ReadSession, company_id: int, query: PageQuery) -> PageResponse[Template]:
    """Return the company's templates. Raises: ApiError 404, if there is no such company."""
    if not await companies.company_exists(session, company_id):
        raise not_found("Company")
    found = await templates.find_company_templates(session, company_id, query)
    return PageResponse[Template].of(await valid_page(Template, found), query)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v2/companies",
        handler=list_reader(ListResponse[Company], companies.list_active_companies),
        summary="List companies",
        description="Return active companies by name.",
        tag="resources",
        rate_limit="resources",
        fast_path=True,
        cache=COMPANIES,
        response=ListResponse[Company],
    ),
    Endpoint(
        method="GET",
        path="/api/v2/companies/{id:int}",
        handler=detail_reader(DetailResponse[CompanyDetails], companies.get_company, thing="Company"),
        summary="Return a company",
        description="Return the company with this id, active or not, with the number of its active templates.",
        tag="resources",
        rate_limit="resources",
        fast_path=True,
        cache=COMPANY_DETAILS,
        response=DetailResponse[CompanyDetails],
    ),
    Endpoint(
        method="GET",
        path="/api/v2/companies/{id:int}/templates",
        handler=list_templates,
        summary="List a company's templates",
        description="Return a page of the company's active templates by title.",
        tag="resources",
        rate_limit="resources",
        fast_path=True,
        cache=COMPANY_TEMPLATES,
        query=PageQuery,
        response=PageResponse[Template],
    ),
)
