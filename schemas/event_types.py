"""Event types: actions of travellers on the site, as the web client names them."""

NAVIGATION = ("page_view",)
SEARCH = ("search_submit", "results_view", "filter_change", "filter_removed", "sort_change")
ENGAGEMENT = ("impression", "click_trip", "trip_view", "trip_dwell_time", "scroll_depth")
CONVERSION = ("save_trip", "unsave_trip", "contact_whatsapp", "contact_phone", "booking_start", "share_trip")

CATEGORIES = {
    name: category
    for category, names in {
        "navigation": NAVIGATION,
        "search": SEARCH,
        "engagement": ENGAGEMENT,
        "conversion": CONVERSION,
    }.items()
    for name in names
}
"""The category of each event type."""

SOURCES = ("search_results", "relaxed_results", "homepage", "similar", "saved")
"""Places on the site where a traveller sees a trip."""

MAX_BATCH = 100
"""Most events of one request."""
