"""The work of the templates commands."""
