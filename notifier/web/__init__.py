"""HTTP servers: a POST endpoint, the health endpoint, and the limit on their connections."""
