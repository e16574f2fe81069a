"""Names in Redis that more than one package uses."""

GENERATION = "smarttrip:generation"
"""Counter that the worker raises after each refresh of the index that changed something."""

CHANGES = "smarttrip:changes"
"""Channel on which the worker tells every process what changed: JSON {"generation": int, "kinds": [str]}."""
