import pytest

from core.configuration.rates import SECONDS, Rate, parse_rates
from core.configuration.settings import SettingsError, load_settings
from schemas.event_types import MAX_BATCH
from tests.conftest import SERVICES


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


@pytest.mark.parametrize("unit", SECONDS)
def test_limit_of_events_allows_those_of_one_request_in_every_window(unit: str) -> None:
    """One below it would reject full batches for ever."""
    urls = {name.lower(): url for name, url in SERVICES.items()}
    assert load_settings(**urls, rate_limit_event_count=f"{MAX_BATCH}/{unit}")
    with pytest.raises(SettingsError, match=f"should allow at least {MAX_BATCH} events"):
        load_settings(**urls, rate_limit_event_count=f"10000/hour; {MAX_BATCH - 1}/{unit}")
