"""Processes: the notifiers that use the database, which of them leads, and jumps of their clocks."""
