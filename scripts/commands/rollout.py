"""`smarttrip rollout`: answer a share of the clients with another weight set."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scripts.commands.group import FastGroup
from scripts.commands.options import ByOption, JsonOption, number, text, weight_set_reference, who, whole_number
from scripts.commands.output import print_json
from scripts.commands.settings import load_command_settings
from scripts.commands.transaction import in_postgres
from scripts.errors import CliError, ExitCode

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from indexer.rollout.criteria import Totals

app = typer.Typer(
    cls=FastGroup, no_args_is_help=True, help="Answer a share of the clients with another weight set, step by step."
)

share = number(0, 1)


@app.command()
def status(json: JsonOption = False) -> None:
    """Show the stable set, the rollout that runs, what came of it in the last ten minutes, and the last rollouts."""
    found = in_postgres(_read_status)
    if json:
        print_json(found)
        return
    typer.echo(f"stable: {found['stable'] or 'missing'}")
    if found["running"] is None:
        typer.echo("No rollout is running.")
    else:
        typer.echo(f"candidate: {found['running']['candidate']} for {found['running']['percent']} % of the clients")
        typer.echo(f"{'variant':<12}{'requests':>10}{'failed':>9}{'searches':>10}{'empty':>9}{'p95 ms':>9}")
    for variant, each in found["variants"].items():
        p95 = "" if each["p95_ms"] is None else f"{each['p95_ms']:.0f}"
        typer.echo(
            f"{variant:<12}{each['requests']:>10,}{each['failure_rate']:>9.1%}"
            f"{each['searches']:>10,}{each['empty_rate']:>9.1%}{p95:>9}"
        )
    for record in found["history"]:
        outcome = record.outcome or "running"
        by = record.ended_by or record.started_by
        typer.echo(f"{record.started_at:%Y-%m-%d %H:%M} {record.candidate} {outcome} by {by}: {record.reason or ''}")


@app.command()
def start(  # noqa: PLR0913, PLR0917 -- one for each option
    weights: Annotated[
        str,
        typer.Option(
            "--weights", parser=weight_set_reference, metavar="REFERENCE", help="Candidate, such as summer@1."
        ),
    ],
    percent: Annotated[
        int | None,
        typer.Option(
            parser=whole_number(1, 100), metavar="N", help="Share of the clients; by default ROLLOUT_PERCENT."
        ),
    ] = None,
    more_failures: Annotated[
        float | None,
        typer.Option(parser=share, metavar="SHARE", help="Roll back when so many more requests fail; default 0.02."),
    ] = None,
    slower: Annotated[
        float | None,
        typer.Option(
            parser=number(1, 100), metavar="FACTOR", help="Roll back when the p95 is so much higher; default 2."
        ),
    ] = None,
    more_empty: Annotated[
        float | None,
        typer.Option(parser=share, metavar="SHARE", help="Roll back when so many more find nothing; default 0.05."),
    ] = None,
    at_least: Annotated[
        int | None,
        typer.Option(parser=whole_number(1), metavar="N", help="Requests before the candidate is judged; default 100."),
    ] = None,
    by: ByOption = None,
    json: JsonOption = False,
) -> None:
    """Begin a rollout, or change the share and the criteria of the one that runs. Exit code 4: another one runs."""
    from indexer.rollout import rollouts
    from indexer.rollout.criteria import AbortCriteria

    settings = load_command_settings()
    given = {"more_failures": more_failures, "slower": slower, "more_empty": more_empty, "at_least": at_least}
    criteria = AbortCriteria.model_validate({name: value for name, value in given.items() if value is not None})
    chosen = settings.rollout_percent if percent is None else percent

    async def begin(connection: "AsyncConnection") -> object:
        return await rollouts.start(connection, settings.scoring_weights, weights, chosen, criteria, by=who(by))

    id_ = _change(begin)
    if json:
        print_json({"id": id_, "candidate": weights, "percent": chosen})
    else:
        typer.echo(f"{weights} answers {chosen} % of the clients, within seconds.")


@app.command()
def promote(by: ByOption = None, json: JsonOption = False) -> None:
    """Make the candidate the stable set, for all clients."""
    from indexer.rollout import rollouts

    name = _change(lambda connection: rollouts.promote(connection, by=who(by)))
    _print(json, f"{name} answers all clients, within seconds.", name)


@app.command()
def rollback(
    reason: Annotated[str | None, typer.Option("--reason", parser=text, metavar="TEXT", help="Why.")] = None,
    by: ByOption = None,
    json: JsonOption = False,
) -> None:
    """End the rollout that runs; without one, undo the last promotion."""
    from indexer.rollout import rollouts

    name = _change(lambda connection: rollouts.roll_back(connection, by=who(by), reason=reason))
    _print(json, f"{name} answers no client any more, within seconds.", name)


def _change(work: Any) -> Any:
    """Run `work` in a transaction. Raises: CliError, if it is not possible now."""
    from indexer.rollout.rollouts import OtherRolloutError, RolloutError, UnknownCandidateError

    try:
        return in_postgres(work)
    except OtherRolloutError as error:
        raise CliError(str(error), ExitCode.BUSY) from None
    except UnknownCandidateError as error:
        raise CliError(str(error), ExitCode.NO_SUCH_SET) from None
    except RolloutError as error:
        raise CliError(str(error)) from None


def _print(json: bool, sentence: str, name: str) -> None:
    if json:
        print_json({"weights": name})
    else:
        typer.echo(sentence)


async def _read_status(connection: "AsyncConnection") -> dict[str, Any]:
    from indexer.rollout.outcomes import read_totals
    from indexer.rollout.rollouts import history, load_state

    state = await load_state(connection, load_command_settings().scoring_weights)
    running = None if state is None else state.running
    totals = {} if running is None else await read_totals(connection, running.id)
    return {
        "stable": None if state is None else state.stable.reference,
        "running": running and {"candidate": running.candidate.reference, "percent": running.percent},
        "variants": {variant: _rates(each) for variant, each in totals.items()},
        "history": await history(connection),
    }


def _rates(totals: "Totals") -> dict[str, Any]:
    return {
        "requests": totals.requests,
        "failure_rate": totals.failure_rate,
        "searches": totals.searches,
        "empty_rate": totals.empty_rate,
        "p95_ms": None if totals.p95 is None else totals.p95 * 1000,
    }
