"""Figures of trips and of days, made from events and request logs."""
