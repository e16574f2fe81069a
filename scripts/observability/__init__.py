"""Objectives, Prometheus rules and Grafana dashboards: the sources of the generated files in deploy/."""
