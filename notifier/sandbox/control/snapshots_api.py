"""Reset and snapshots: the state of the sandbox returns to an earlier one while it runs."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from aiohttp import web

from notifier.sandbox.control.routes import BadRequestError, NotFoundError
from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.sandbox import Sandbox, SavedSnapshot
from notifier.sandbox.saved_state import copy_state, restore_state

MAX_SNAPSHOTS, MAX_NAME = 20, 64


class BadSnapshotError(BadRequestError):
    """An invalid request about snapshots. The text is shown to the caller."""


class UnknownSnapshotError(NotFoundError):
    """No snapshot has this name."""


class Snapshots:
    """Reset and named snapshots of a sandbox. Long connections and tokens stay valid; faults end."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def reset(self) -> None:
        """Returns to the start world, and starts the faults of the settings again. Snapshots stay."""
        self._return_to(self._sandbox.start_state)
        self._sandbox.start_settings_faults()

    def take(self, name: str) -> JsonObject:
        """Keeps the state under a name, which replaces an older snapshot. Raises BadSnapshotError."""
        if not 0 < len(name) <= MAX_NAME or not all(one.isalnum() or one in "-_." for one in name):
            raise BadSnapshotError(f'"name" must be 1 to {MAX_NAME} letters, digits, "-", "_" or "."')
        snapshots = self._sandbox.snapshots
        if name not in snapshots and len(snapshots) >= MAX_SNAPSHOTS:
            raise BadSnapshotError(f"there are {MAX_SNAPSHOTS} snapshots already: delete one first")
        snapshots[name] = SavedSnapshot(
            at_ms=self._sandbox.tenant.clock.now_ms(), state=copy_state(self._sandbox)
        )
        self._sandbox.tenant.bump_revision()
        return _to_json(name, snapshots[name])

    def list(self) -> list[JsonObject]:
        """All snapshots, oldest first."""
        return [_to_json(name, snapshot) for name, snapshot in self._sandbox.snapshots.items()]

    def restore(self, name: str) -> JsonObject:
        """Returns to a snapshot. Raises UnknownSnapshotError."""
        snapshot = self._get(name)
        self._return_to(snapshot.state)
        return _to_json(name, snapshot)

    def delete(self, name: str) -> None:
        """Deletes a snapshot. Raises UnknownSnapshotError."""
        self._get(name)
        del self._sandbox.snapshots[name]
        self._sandbox.tenant.bump_revision()

    def _get(self, name: str) -> SavedSnapshot:
        if name not in self._sandbox.snapshots:
            raise UnknownSnapshotError(f"there is no snapshot {name!r}")
        return self._sandbox.snapshots[name]

    def _return_to(self, state: Mapping[str, Any]) -> None:
        """Balance events stay in order: none gets an earlier modify_time than those that the app knows already."""
        sandbox = self._sandbox
        sandbox.forget_run()
        last_modify_ms = sandbox.last_modify_ms
        restore_state(sandbox, deepcopy(dict(state)))
        sandbox.last_modify_ms = max(last_modify_ms, sandbox.last_modify_ms)
        sandbox.pusher.release_on_connect = bool(state["release_on_connect"])  # a client is connected already
        sandbox.pusher.wake()
        sandbox.tenant.bump_revision()


class SnapshotApi:
    """The routes of reset and snapshots."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._snapshots = Snapshots(sandbox)

    def reset(self, _request: web.Request, _body: JsonObject) -> JsonObject:
        """Returns to the start world."""
        self._snapshots.reset()
        return {"reset": True}

    def take(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """{"name": "before"}: keeps the state."""
        name = body.get("name")
        if not isinstance(name, str):
            raise BadSnapshotError('"name" must be text')
        return self._snapshots.take(name)

    def list(self, _request: web.Request, _body: JsonObject) -> JsonObject:
        """All snapshots."""
        return {"snapshots": self._snapshots.list()}

    def restore(self, request: web.Request, _body: JsonObject) -> JsonObject:
        """Returns to a snapshot."""
        return self._snapshots.restore(request.match_info["name"])

    def delete(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Deletes a snapshot."""
        self._snapshots.delete(request.match_info["name"])
        return self.list(request, body)


def _to_json(name: str, snapshot: SavedSnapshot) -> JsonObject:
    messages, events = (len(snapshot.state[kind]) for kind in ("messages", "events"))
    return {"name": name, "at_ms": snapshot.at_ms, "messages": messages, "events": events}
