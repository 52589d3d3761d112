"""Deliveries: addressed, claimed, sent, and repaired by operators."""
