"""Grafana dashboards: each module builds one page of panels."""
