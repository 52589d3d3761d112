"""Preferences: what a person chose about the own notices, and what follows for a delivery."""
