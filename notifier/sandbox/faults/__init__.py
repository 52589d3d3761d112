"""Faults: what goes wrong on demand."""
