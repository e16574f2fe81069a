"""Reindex, loading, checksum comparison, verification, rollback, retention."""
