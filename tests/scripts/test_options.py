from collections.abc import Callable

import pytest
import typer

from scripts.commands.options import MAX_SECONDS, number, seconds, whole_number

PARSERS = [(whole_number(1, 9), 1, 9, 1), (number(0.25, 4), 0.25, 4, 0.125), (seconds(0.5), 0.5, MAX_SECONDS, 0.125)]


@pytest.mark.parametrize(("parse", "low", "high", "step"), PARSERS, ids=["whole number", "number", "seconds"])
def test_bounds_are_accepted_and_named_when_exceeded(
    parse: Callable[[object], float], low: float, high: float, step: float
) -> None:
    assert (parse(str(low)), parse(str(high))) == (low, high)
    for outside in (low - step, high + step):
        with pytest.raises(typer.BadParameter, match=f"from {low:g} to {high:g}"):
            parse(str(outside))
