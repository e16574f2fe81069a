"""How autoscalers follow the load: a simulation, second by second, on the measured cost of a request."""
