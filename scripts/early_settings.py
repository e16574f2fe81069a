"""Settings that do not depend on where the servers are, such as ports."""

from core.configuration.settings import Settings, load_settings


def early_settings() -> Settings:
    """Return the settings before the services are started whose addresses are settings, too."""
    nowhere = {"database_url": "postgresql://localhost/none", "redis_url": "redis://localhost"}
    return load_settings(**nowhere, elasticsearch_url="http://localhost:9200", host="127.0.0.1")
