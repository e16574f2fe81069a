"""The shapes of data and nothing else: settings, tables, entities, requests, documents."""
