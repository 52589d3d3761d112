"""PostgreSQL: connection settings, process lock, and errors of its server."""
