"""Upkeep: jobs that run beside the data flow."""
