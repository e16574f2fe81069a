"""`smarttrip top`: what an installation does now, from the metrics of its processes."""
