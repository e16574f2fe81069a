"""Postgres: connections and pools, transactions, statements."""
