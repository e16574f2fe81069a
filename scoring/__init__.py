"""The rules, as data: ranking in Elasticsearch, explanation in Python, and what a change affects."""
