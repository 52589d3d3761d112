"""Schema: tables and migrations."""
