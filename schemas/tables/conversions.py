"""SQL functions that read a column of another type than ours, value by value.

One that cannot be converted is NULL, or, as a price that is missing is another price, no number.
"""

import re

from schemas.tables.sync import SCHEMA

CONVERTED_TYPES = (
    "bigint",
    "boolean",
    "date",
    "integer[]",
    "jsonb",
    "numeric",
    "numeric[]",
    "text[]",
    "timestamp without time zone",
    "timestamp with time zone",
    "uuid",
)
"""Types that values are converted to, besides text, which every value can be cast to."""


def conversion_function(type_name: str) -> str:
    """Return the name of the function that converts any value to one of CONVERTED_TYPES."""
    return f"{SCHEMA}.to_" + re.sub(r"\W+", "_", type_name.replace("[]", " array"))
