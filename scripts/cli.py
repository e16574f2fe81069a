"""The `smarttrip` command: registers the commands and turns expected errors into a sentence and an exit code."""

import io
import sys

import typer

from scripts.commands import bench, check, database, demo, index, processes, stack, user
from scripts.commands.errors import describe_error

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Trip recommendations from an Elasticsearch index that follows Postgres. Settings come from the environment.",
    epilog="Exit codes: 0 done; 1 failed, or differences found; 2 wrong usage or settings; "
    "3 a service is unreachable; 4 busy: already running, or a port is taken.",
)
app.add_typer(stack.app, name="stack")
app.add_typer(user.app, name="user")
app.add_typer(bench.app, name="bench")
app.command()(database.migrate)
app.command()(database.seed)
app.command()(check.check)
app.command()(index.reindex)
app.command()(index.verify)
app.command()(index.rollback)
app.command()(processes.serve)
app.command()(processes.worker)
app.command()(demo.demo)


def main() -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A reader of a pipe or a log sees each step as soon as it is done.
        sys.stdout.reconfigure(line_buffering=True)
    try:
        app()
    except Exception as error:
        expected = describe_error(error)
        if expected is None:
            raise
        print(expected.sentence, file=sys.stderr)
        sys.exit(expected.code)
