"""`smarttrip bench COMMAND`: one module for each."""
