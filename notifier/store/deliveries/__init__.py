"""Deliveries: addressed, claimed, ended, and repaired by operators."""
