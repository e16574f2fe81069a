"""A simulation of autoscalers, and the thresholds that it recommends."""
