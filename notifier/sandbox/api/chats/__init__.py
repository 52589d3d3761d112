"""The calls about groups and their members."""
