"""How the parts of the sandbox push events without knowing how they are pushed."""

from collections.abc import Callable, Sequence

from notifier.sandbox.error_codes import JsonObject

Publish = Callable[[str, JsonObject, Sequence[str] | None], list[str]]
"""Pushes an event if the app subscribes to its type and has one of the scopes (None: those of the type).

Returns the ids of the pushed events. It is `Pusher.publish`.
"""
