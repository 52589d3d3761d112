"""The HTTP server of the sandbox, its web page and the API of the page."""
