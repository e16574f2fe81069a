"""The weights that a request is answered with, and what a rollout's monitor says."""
