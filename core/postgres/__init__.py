"""Connections and pools, session settings, transactions, changed columns of the platform, deletion by age."""
