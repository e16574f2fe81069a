"""Run `smarttrip` with searches that wait long for Elasticsearch: `python -m tests.support.patient_cli COMMAND...`.

By themselves they are answered from Postgres, degraded, once they take long, as they do on a busy machine. Processes
that this one spawns import it, too.
"""

from app.recommendations import service
from scripts.cli import main

HEDGE_SECONDS = 5.0
"""Less than the longest response may take."""

service.HEDGE_SECONDS = HEDGE_SECONDS


def run() -> None:
    """Run the command."""
    main()


if __name__ == "__main__":
    run()
