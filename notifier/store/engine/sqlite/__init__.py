"""SQLite: connection settings, process lock, integrity checks, and errors of its files."""
