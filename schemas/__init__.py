"""Shapes of data: index document, Redis keys, lenient parsers, enumerations."""
