"""Advisory lock for transactions that change many sessions or users. Rows of trips are locked in the order of ids."""

from sqlalchemy import text

TRACKING_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('smarttrip.tracking', 0))")
"""Lock until the end of the transaction. Without it, two that lock the same rows in different orders would deadlock."""
