"""Which weights a request is answered with."""
