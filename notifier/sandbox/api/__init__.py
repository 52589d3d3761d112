"""API: answers Feishu's server calls."""
