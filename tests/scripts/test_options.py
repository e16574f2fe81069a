from collections.abc import Callable

import pytest
import typer

from scripts.commands.options import MAX_SECONDS, MAX_TEXT, number, seconds, text, whole_number

PARSERS = [(whole_number(1, 9), 1, 9, 1), (number(0.25, 4), 0.25, 4, 0.125), (seconds(0.5), 0.5, MAX_SECONDS, 0.125)]


@pytest.mark.parametrize(("parse", "low", "high", "step"), PARSERS, ids=["whole number", "number", "seconds"])
def test_bounds_are_accepted_and_named_when_exceeded(
    parse: Callable[[object], float], low: float, high: float, step: float
) -> None:
    assert (parse(str(low)), parse(str(high))) == (low, high)
    for outside in (low - step, high + step):
        with pytest.raises(typer.BadParameter, match=f"from {low:g} to {high:g}"):
            parse(str(outside))


def test_text_is_one_line_that_a_terminal_shows_as_it_is() -> None:
    assert text("יותר מקום למדינות, 20 %") == "יותר מקום למדינות, 20 %"
    for wrong in ("", "x" * (MAX_TEXT + 1), "two\nlines", "\x1b[31mred", "tab\t"):
        with pytest.raises(typer.BadParameter, match="in one line"):
            text(wrong)
