"""The part of FeishuBox that finds what happened, and returns to earlier states."""

from typing import Any

from notifier.sandbox.client.reading import Reading
from notifier.sandbox.control.reading_api import ReadingApi
from notifier.sandbox.control.snapshots_api import Snapshots
from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.sandbox import Sandbox
from notifier.sandbox.sandbox_thread import SandboxThread

Json = dict[str, Any]


class RecordsBox(SandboxThread, Reading):
    """Reads with filters, reset and snapshots. Invalid input raises BadRequestError."""

    def _find(self, kind: str, query: dict[str, str]) -> list[Json]:
        async def find(sandbox: Sandbox) -> list[JsonObject]:
            reading = ReadingApi(sandbox)
            finders = {
                "messages": reading.find_messages,
                "events": reading.find_events,
                "requests": reading.find_requests,
            }
            return await finders[kind](query)

        return self._await(find)

    def quotas(self) -> list[Json]:
        """The rate limits of calls with their use. See `GET /api/quotas`."""
        return self._read(lambda sandbox: ReadingApi(sandbox).list_quotas())

    def push_event(self, event_type: str, event: Json) -> str:
        """Pushes an event of any type with a new header. Returns its event_id."""
        return self._call(lambda sandbox: sandbox.push_event(event_type, event))

    def push_again(self, event_id: str) -> None:
        """Pushes a known event once more, with the same id and payload."""
        self._call(lambda sandbox: sandbox.pusher.push_again(event_id))

    def now_ms(self) -> int:
        """The time of the sandbox, in milliseconds since 1970."""
        return self._read(lambda sandbox: sandbox.tenant.clock.now_ms())

    def reset(self) -> None:
        """Returns to the start world. Connections, tokens and snapshots stay; faults and logs end."""
        self._call(lambda sandbox: Snapshots(sandbox).reset())

    def take_snapshot(self, name: str) -> Json:
        """Keeps the state under a name. Returns name, at_ms, and the number of messages and events."""
        return self._call(lambda sandbox: Snapshots(sandbox).take(name))

    def snapshots(self) -> list[Json]:
        """All snapshots, oldest first."""
        return self._read(lambda sandbox: Snapshots(sandbox).list())

    def restore_snapshot(self, name: str) -> None:
        """Returns to a snapshot. Connections and tokens stay; faults and logs end."""
        self._call(lambda sandbox: Snapshots(sandbox).restore(name))

    def delete_snapshot(self, name: str) -> None:
        """Deletes a snapshot."""
        self._call(lambda sandbox: Snapshots(sandbox).delete(name))
