"""Index administration, targets, outbox table, bulk writes and their versions, reconciliation."""
