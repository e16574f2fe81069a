"""Enums of the platform: stored labels and display values."""

import re
from enum import StrEnum

from schemas.messages.validation import invalid


class Continent(StrEnum):
    """Member names are the labels in the database; values are display names."""

    AFRICA = "Africa"
    ASIA = "Asia"
    EUROPE = "Europe"
    NORTH_AND_CENTRAL_AMERICA = "North & Central America"
    SOUTH_AMERICA = "South America"
    OCEANIA = "Oceania"
    ANTARCTICA = "Antarctica"

    @property
    def hebrew(self) -> str:
        return _HEBREW_CONTINENTS[self]

    @classmethod
    def parse(cls, text: str) -> "Continent":
        """Parse a display name or label in any case, however its words are joined.

        "North America" is North & Central America.

        Raises: ValueError.
        """
        try:
            return _CONTINENTS_BY_NAME[_words(text)]
        except KeyError:
            raise invalid("unknown_continent", names=", ".join(cls)) from None


_HEBREW_CONTINENTS = {
    Continent.AFRICA: "אפריקה",
    Continent.ASIA: "אסיה",
    Continent.EUROPE: "אירופה",
    Continent.NORTH_AND_CENTRAL_AMERICA: "צפון ומרכז אמריקה",
    Continent.SOUTH_AMERICA: "דרום אמריקה",
    Continent.OCEANIA: "אוקיאניה",
    Continent.ANTARCTICA: "אנטארקטיקה",
}


def _words(name: str) -> str:
    """Return the words of a name in lower case; blanks, "_", "-", "+" and "&" separate them, "and" is left out."""
    words = re.split(r"[\s_&+-]+", name.casefold())
    return " ".join(word for word in words if word not in ("", "and"))


_CONTINENTS_BY_NAME = {
    "north america": Continent.NORTH_AND_CENTRAL_AMERICA,
    **{_words(name): member for member in Continent for name in (member.name, member.value)},
}


class Gender(StrEnum):
    MALE = "Male"
    FEMALE = "Female"
    OTHER = "Other"


class Status(StrEnum):
    """Status of a departure, stored as this text."""

    OPEN = "Open"
    GUARANTEED = "Guaranteed"
    LAST_PLACES = "Last Places"
    FULL = "Full"
    CANCELLED = "Cancelled"


NOT_ON_SALE = (Status.CANCELLED, Status.FULL)

PRIVATE_GROUPS = "Private Groups"
"""Name of the trip type whose departures have flexible dates and spots."""

PRIVATE_GROUPS_ID = 10
"""Id of the trip type Private Groups if no type has that name."""

ANTARCTICA = "Antarctica"
"""Name of the country that is also a continent."""
