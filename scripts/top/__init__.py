"""`smarttrip top`: metrics of processes, and the page made of them."""
