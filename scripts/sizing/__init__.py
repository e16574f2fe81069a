"""What a request costs, and the plan that `smarttrip size` makes of it."""
