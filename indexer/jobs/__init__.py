"""Scheduled and requested jobs, over arq."""
