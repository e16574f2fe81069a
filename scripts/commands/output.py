"""Results of commands, as JSON on standard output."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

import typer


def print_json(result: object) -> None:
    """Print dataclasses, named tuples, enumerations, dates and what JSON has itself."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    typer.echo(orjson.dumps(result, default=str, option=options).decode())


def print_counts(counts: dict[str, int], json: bool, none: str = "") -> None:
    """Print the number of new rows by table, or `none` if no table got any."""
    if json:
        print_json(counts)
        return
    if not counts:
        typer.echo(none)
    for table, count in counts.items():
        typer.echo(f"{count:>9,}  {table}")
