"""Names of the jobs that other modules refer to."""

REINDEX = "reindex"
VERIFY = "verify"
TIDY = "tidy"
