"""Prefect: the flows that start, schedule and report the work, their settings, and the command line."""
