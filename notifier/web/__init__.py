"""Web: everything that listens for HTTP."""
