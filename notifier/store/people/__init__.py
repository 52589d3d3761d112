"""Registrations of people, and the accounts as operators list them."""
