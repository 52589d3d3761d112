"""Reads with filters, the same for SandboxClient and FeishuBox."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
MAX_LIMIT, MAX_WAIT_SECONDS = 1000, 60


class Reading(ABC):
    """Finds messages, events and calls. The filters are those of the routes with these names.

    `find_...` returns what matches, oldest first: the first ones after the id `after`, or the newest ones without
    `after`. An empty `after` is the beginning. With `wait` it waits until at least one matches, for that many seconds.
    `wait_for_...` returns the first one that matches, or raises TimeoutError.
    """

    @abstractmethod
    def _find(self, kind: str, query: dict[str, str]) -> list[Json]:
        """kind: messages, events or requests."""

    def find_messages(
        self,
        *,
        chat_id: str | None = None,
        open_id: str | None = None,
        sender: str | None = None,
        msg_type: str | None = None,
        contains: str | None = None,
        after: str | None = None,
        limit: int = 100,
        wait: float = 0,
    ) -> list[Json]:
        """The messages that match. open_id: the private chat of this person. sender: app or user."""
        filters = {"chat_id": chat_id, "open_id": open_id, "sender": sender, "msg_type": msg_type}
        return self._find(
            "messages", _query(**filters, contains=contains, after=after, limit=limit, wait=wait)
        )

    def wait_for_message(
        self,
        *,
        chat_id: str | None = None,
        open_id: str | None = None,
        sender: str | None = None,
        msg_type: str | None = None,
        contains: str | None = None,
        after: str | None = None,
        timeout: float = 10,
    ) -> Json:
        """The first message that matches, or TimeoutError."""
        filters = {"chat_id": chat_id, "open_id": open_id, "sender": sender, "msg_type": msg_type}
        return self._first("messages", timeout, **filters, contains=contains, after=after)

    def find_events(
        self,
        *,
        event_type: str | None = None,
        account_id: str | None = None,
        state: str | None = None,
        contains: str | None = None,
        after: str | None = None,
        limit: int = 100,
        wait: float = 0,
    ) -> list[Json]:
        """The events that match, with payloads. state: waiting, acknowledged or given_up."""
        filters = {"event_type": event_type, "account_id": account_id, "state": state}
        return self._find("events", _query(**filters, contains=contains, after=after, limit=limit, wait=wait))

    def wait_for_event(
        self,
        *,
        event_type: str | None = None,
        account_id: str | None = None,
        state: str | None = None,
        contains: str | None = None,
        after: str | None = None,
        timeout: float = 10,
    ) -> Json:
        """The first event that matches, or TimeoutError."""
        filters = {"event_type": event_type, "account_id": account_id, "state": state}
        return self._first("events", timeout, **filters, contains=contains, after=after)

    def find_requests(
        self,
        *,
        method: str | None = None,
        path: str | None = None,
        status: int | None = None,
        code: int | None = None,
        contains: str | None = None,
        after: str | None = None,
        limit: int = 100,
        wait: float = 0,
    ) -> list[Json]:
        """The calls of the app that match, with bodies and answers. path: its beginning. code: of the JSON answer."""
        filters = {"method": method, "path": path, "status": status, "code": code}
        return self._find(
            "requests", _query(**filters, contains=contains, after=after, limit=limit, wait=wait)
        )

    def wait_for_request(
        self,
        *,
        method: str | None = None,
        path: str | None = None,
        status: int | None = None,
        code: int | None = None,
        contains: str | None = None,
        after: str | None = None,
        timeout: float = 10,
    ) -> Json:
        """The first call that matches, or TimeoutError."""
        filters = {"method": method, "path": path, "status": status, "code": code}
        return self._first("requests", timeout, **filters, contains=contains, after=after)

    def _first(self, kind: str, timeout: float, **filters: object) -> Json:
        start = {**filters, "after": filters.get("after") or ""}
        found = self._find(kind, _query(**start, limit=1, wait=min(timeout, MAX_WAIT_SECONDS)))
        if not found:
            given = ", ".join(f"{name}={value!r}" for name, value in filters.items() if value is not None)
            raise TimeoutError(f"not within {timeout:g} s: {kind} with {given or 'any content'}")
        return found[0]

    def _find_all(self, kind: str, key: str, **filters: object) -> Iterator[Json]:
        """Everything that matches, page after page. key: the name of the id."""
        after = ""
        while page := self._find(kind, _query(**filters, after=after, limit=MAX_LIMIT)):
            yield from page
            after = str(page[-1][key])


def _query(**values: object) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value is not None}
