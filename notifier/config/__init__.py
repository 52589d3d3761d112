"""Configuration: the settings, their types, and the loader."""
