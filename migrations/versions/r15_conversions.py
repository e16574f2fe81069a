"""Conversions: functions that read a column of the platform whose type has changed.

Postgres before 16 has no other way to convert a value without an error.
"""

from alembic import op

from migrations.steps import atomically
from schemas.tables.conversions import CONVERTED_TYPES, conversion_function

revision = "conversions"
down_revision = "installation"

ATTEMPTS = {
    "bigint": ("value", "CAST(value AS integer)", "CAST(CAST(value AS text) AS numeric)"),
    "numeric": ("value", "CAST(value AS integer)", "CAST(value AS text)"),
}
"""What is cast to a type, the first that Postgres accepts; a type that is not among them is cast from OTHERS."""
OTHERS = ("value", "CAST(value AS text)")

INSTEAD = {"numeric": "'NaN'"}
"""What is returned for a value that cannot be converted, by default NULL: without its own price, a departure would show
that of its template.
"""

FUNCTION = """
CREATE OR REPLACE FUNCTION {name}(value anyelement) RETURNS {type} LANGUAGE plpgsql STABLE AS $function$
BEGIN
{attempts}
RETURN {instead};
END
$function$;
"""
ATTEMPT = """
BEGIN
    RETURN CAST({value} AS {type});
EXCEPTION WHEN data_exception OR syntax_error_or_access_rule_violation THEN
    -- The next attempt.
END;
"""


def upgrade() -> None:
    for type_name in CONVERTED_TYPES:
        values = ATTEMPTS.get(type_name, OTHERS)
        attempts = "".join(ATTEMPT.format(value=value, type=type_name) for value in values)
        instead = INSTEAD.get(type_name, "NULL")
        name = conversion_function(type_name)
        atomically(FUNCTION.format(name=name, type=type_name, attempts=attempts, instead=instead))


def downgrade() -> None:
    for type_name in CONVERTED_TYPES:
        op.execute(f"DROP FUNCTION IF EXISTS {conversion_function(type_name)}(anyelement)")
