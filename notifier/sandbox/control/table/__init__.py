"""The table of all routes of the control API, and its OpenAPI description."""
