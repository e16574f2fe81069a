"""An index of many departures in several layouts, made without a database."""
