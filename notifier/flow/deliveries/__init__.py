"""Deliveries: resolve the recipient, send the card, update it later."""
