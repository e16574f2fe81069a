"""Travel destinations, the most popular of each continent first; their names come from Babel."""

from functools import cache
from typing import NamedTuple

from babel import Locale

from schemas.enums import Continent

CODES = {
    Continent.AFRICA: "KE TZ ZA MA NA EG BW UG RW ET MG ZM ZW TN SN GH MU SC MZ MW CV BJ TG GM",
    Continent.ASIA: "JP IN TH VN NP LK KR ID CN KH BT GE UZ JO LA MN PH MY AM SG OM KG KZ TJ AE TW AZ IL MV",
    Continent.EUROPE: "IT ES GR FR PT IS NO GB CH AT HR IE FI CZ RO SI ME AL PL HU BG DE SE DK NL BE RS BA MT CY "
    "EE LV LT SK GL FO AD LU MK",
    Continent.NORTH_AND_CENTRAL_AMERICA: "US CR CA MX CU GT PA NI BZ DO JM HN SV BS BB TT",
    Continent.SOUTH_AMERICA: "PE AR BR CL EC BO CO UY PY GY SR VE",
    Continent.OCEANIA: "NZ AU FJ WS PF VU NC CK TO PG",
    Continent.ANTARCTICA: "AQ",
}


WITH_ARTICLE = "NL PH MV GM FO DO BS CK US GB AE"


class Country(NamedTuple):
    id: int
    code: str
    name: str
    name_he: str
    continent: Continent
    rank: int
    """Popularity on its continent; 0 is the most popular."""

    @property
    def in_text(self) -> str:
        return f"the {self.name}" if self.code in WITH_ARTICLE.split() else self.name


@cache
def all_countries() -> tuple[Country, ...]:
    """Return all countries; ids follow the order of CODES."""
    english, hebrew = Locale("en").territories, Locale("he").territories
    ranked = ((code, continent, rank) for continent, codes in CODES.items() for rank, code in enumerate(codes.split()))
    return tuple(
        Country(number, code, _short(english[code]), _short(hebrew[code]), continent, rank)
        for number, (code, continent, rank) in enumerate(ranked, 1)
    )


def _short(name: str) -> str:
    """Remove the addition that Babel puts in brackets."""
    return name.partition(" (")[0]
