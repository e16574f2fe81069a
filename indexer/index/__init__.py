"""Index administration, targets, outbox table, versioned bulk writes, document versions, reconciliation."""
