"""Store: all SQL."""
