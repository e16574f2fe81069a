"""Results of commands, as JSON on standard output."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.


def print_json(result: object) -> None:
    """Print dataclasses, named tuples, enumerations, dates and what JSON has itself."""
    import orjson
    import typer

    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    typer.echo(orjson.dumps(result, default=str, option=options).decode())
