"""Business date: which day it is for travellers."""

from collections.abc import Callable
from datetime import date, datetime

from core.configuration.settings import Settings

BusinessDateProvider = Callable[[], date]


def business_date_provider(settings: Settings) -> BusinessDateProvider:
    """Return a function that gives the current date in the business time zone, or the fixed date of the settings."""
    fixed, zone = settings.today, settings.zone
    return lambda: fixed or datetime.now(zone).date()
