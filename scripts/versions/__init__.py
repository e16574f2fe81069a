"""`make test-versions`: which versions of the servers the suites pass on."""
