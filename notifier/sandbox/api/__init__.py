"""The calls of Feishu's server API."""
