"""`smarttrip replay`: searches, the two sides, and the comparison of their answers."""
