import pytest

from core.configuration.rates import Rate, parse_rates


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("10/minute", [Rate(60, 10)]),
        ("0/hour", [Rate(3600, 0)]),
        ("200/hour; 50/minute", [Rate(60, 50), Rate(3600, 200)]),
        ("1 per second, 5 PER 2 hours | 7/days", [Rate(1, 1), Rate(7200, 5), Rate(86_400, 7)]),
    ],
)
def test_rates_are_sorted_by_window(text: str, rates: list[Rate]) -> None:
    assert parse_rates(text) == rates


@pytest.mark.parametrize("text", ["", "often", "1/month", "5/0 minutes", "-1/minute", "10/minute;", "1e3/hour"])
def test_unreadable_rate_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="should be"):
        parse_rates(text)
