"""Control: the web page, its API, and the HTTP server."""
