"""Settings of Postgres that our statements rely on, whatever the defaults of the role or the database are."""

from collections.abc import Mapping

RELIED_ON: Mapping[str, str] = {
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "array_nulls": "on",
    "bytea_output": "hex",
    "exit_on_error": "off",
    "extra_float_digits": "1",
    "gin_fuzzy_search_limit": "0",
    "idle_in_transaction_session_timeout": "5min",
    "lock_timeout": "0",
    "quote_all_identifiers": "off",
    "row_security": "on",
    "standard_conforming_strings": "on",
    "statement_timeout": "0",
    "transform_null_equals": "off",
    "xmloption": "content",
}
"""Values for every transaction. Timeouts are the client's business: it knows which statement may take how long.

All but one: a client that stands still, as on a frozen machine, cannot end its transaction, and others wait for its
locks. Where many wait, a transaction sets a shorter time itself.
"""

SESSION_ONLY: Mapping[str, str] = {
    "default_transaction_deferrable": "off",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "idle_session_timeout": "0",
}
"""Values for sessions; a transaction states them when it begins, or cannot change them."""

SINCE_17: Mapping[str, str] = {"transaction_timeout": "0"}

SEARCH_PATH = (
    "SELECT set_config('search_path', concat_ws(', ', 'public', nullif(current_setting('search_path'), '')), {local})"
    " WHERE to_regclass('trip_occurrences') IS NULL"
)
"""Add the schema public, where new tables belong, to a search path that does not lead to the platform's tables."""


def session_settings(overrides: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of a session; `overrides` come from the URL."""
    return {**RELIED_ON, **SESSION_ONLY, **overrides}


def session_script(version: int) -> str:
    """Return statements for a session on a server of this major version, after `session_settings`."""
    newer = SINCE_17 if version >= 17 else {}
    return "; ".join(
        [*(f"SET {name} = {quote(value)}" for name, value in newer.items()), SEARCH_PATH.format(local="false")]
    )


def begin_script(begin: str, version: int, overrides: Mapping[str, str], *, read_write: bool) -> str:
    """Return `begin`, a BEGIN statement, with all that a transaction on another's session needs.

    Behind a pooler, the next transaction of this session may be another application's, so everything ends with it.
    """
    settings = {**RELIED_ON, **(SINCE_17 if version >= 17 else {})}
    statements = [begin.rstrip("; ")]
    if "ISOLATION" not in begin:
        statements.append("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
    if read_write and "READ ONLY" not in begin:
        statements.append("SET TRANSACTION READ WRITE")
    statements += [f"SET LOCAL {name} = {quote(value)}" for name, value in settings.items() if name not in overrides]
    statements += [f"SELECT set_config({quote(name)}, {quote(value)}, true)" for name, value in overrides.items()]
    return "; ".join([*statements, SEARCH_PATH.format(local="true")])


def quote(value: str) -> str:
    """Return the value as a literal that means the same whatever `standard_conforming_strings` is."""
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'" if "\\" in value else f"'{escaped}'"
