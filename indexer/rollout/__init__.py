"""Gradual rollout: weight sets, and which share of the clients is answered with which."""
