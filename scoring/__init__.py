"""The rules, as data: ranking in Elasticsearch and explanation in Python."""
