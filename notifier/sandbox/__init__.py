"""Sandbox: a local server that imitates Feishu's API, events and long connection, for tests and for manual trials.

It shares no code with the client packages, so a wrong reading of Feishu's rules cannot exist on both sides.
"""
