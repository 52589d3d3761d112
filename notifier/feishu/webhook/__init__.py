"""Webhook: events over HTTP POST."""
