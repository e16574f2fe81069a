"""The date that "today" is for travellers."""

from collections.abc import Callable
from datetime import date, datetime

from core.settings import Settings

Clock = Callable[[], date]


def business_clock(settings: Settings) -> Clock:
    """Today in the business time zone, or the fixed date of the settings."""
    fixed, zone = settings.today, settings.zone
    return lambda: fixed or datetime.now(zone).date()
