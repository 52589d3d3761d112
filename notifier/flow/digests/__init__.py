"""Digests: schedule, figures, and sending."""
