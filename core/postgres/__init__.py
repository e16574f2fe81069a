"""Connections and pools, driver reads, session settings, transactions, changed platform columns, deletion by age."""
