"""Feishu: its JSON, its error codes, and the calls to it."""
