"""Names of the jobs that other processes enqueue."""

REINDEX = "reindex"
VERIFY = "verify"
