"""The calls that read people and departments."""
