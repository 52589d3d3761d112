"""Routes that read what happened and can wait for it: messages, events, requests, and the used limits."""

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from aiohttp import web

from notifier.sandbox.api.quota import Limit
from notifier.sandbox.control.request_log import hide_secrets, request_json
from notifier.sandbox.control.routes import BadRequestError, NotFoundError
from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.push.events import EventRecord
from notifier.sandbox.sandbox import Sandbox
from notifier.sandbox.snapshot import ledger_json, message_json
from notifier.sandbox.tenant import Tenant

_T = TypeVar("_T")
MAX_WAIT_SECONDS, DEFAULT_LIMIT, MAX_LIMIT = 60, 100, 1000
BETWEEN_READS_SECONDS = 0.02
"""Combines several changes into one evaluation of the filters."""


class ReadingApi:
    """Reads with filters. With `wait` a read answers as soon as something matches, or empty after that time."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._tenant = sandbox.tenant

    async def messages(self, request: web.Request, _body: JsonObject) -> JsonObject:
        """The messages that match."""
        return {"messages": await self.find_messages(request.query)}

    async def events(self, request: web.Request, _body: JsonObject) -> JsonObject:
        """The events that match, with their payloads."""
        return {"events": await self.find_events(request.query)}

    async def requests(self, request: web.Request, _body: JsonObject) -> JsonObject:
        """The calls of the app that match, with bodies and answers as far as they are kept."""
        return {"requests": await self.find_requests(request.query)}

    async def find_messages(self, query: Mapping[str, str]) -> list[JsonObject]:
        """The messages that match. query: as of the route. Raises BadRequestError."""
        chat_id, sender = query.get("chat_id"), _choice(query, "sender", ("app", "user"))
        if open_id := query.get("open_id"):
            person = self._tenant.people.get(open_id)
            if person is None:
                raise NotFoundError(f"there is no person {open_id!r}")
            if chat_id not in (None, person.chat_id):
                raise BadRequestError('"chat_id" and "open_id" name different chats: give one of them')
            chat_id = person.chat_id

        def find() -> list[str]:
            return [
                message.message_id
                for message in self._tenant.messages.values()
                if chat_id in (None, message.chat_id)
                and query.get("msg_type") in (None, message.msg_type)
                and sender in (None, message.sender_type)
                and _contains(message.content, query.get("contains"))
            ]

        page = _Page(query, lambda: self._tenant.messages, "message")
        found = await _wait_for(lambda: page.cut(find()), query, self._tenant)
        return [message_json(self._tenant.messages[one], self._tenant) for one in found]

    async def find_events(self, query: Mapping[str, str]) -> list[JsonObject]:
        """The events that match. query: as of the route. Raises BadRequestError."""
        state = _choice(query, "state", ("waiting", "acknowledged", "given_up"))

        def find() -> list[str]:
            return [
                record.event_id
                for record in self._sandbox.pusher.records.values()
                if state in (None, record.state)
                and query.get("event_type") in (None, record.event_type)
                and query.get("account_id") in (None, record.account_id)
                and _is_in_payload(query.get("contains"), record)
            ]

        page = _Page(query, lambda: self._sandbox.pusher.records, "event")
        found = await _wait_for(lambda: page.cut(find()), query, self._tenant)
        return [event_json(self._sandbox.pusher.records[one]) for one in found]

    def event(self, request: web.Request, _body: JsonObject) -> JsonObject:
        """One event with its payload."""
        record = self._sandbox.pusher.records.get(request.match_info["event_id"])
        if record is None:
            raise NotFoundError(f"there is no event {request.match_info['event_id']!r}")
        return event_json(record)

    async def find_requests(self, query: Mapping[str, str]) -> list[JsonObject]:
        """The calls of the app that match. query: as of the route. Raises BadRequestError."""
        tenant = self._tenant
        status, code = (_whole(query, name) for name in ("status", "code"))

        def find() -> list[str]:
            return [
                record.log_id
                for record in tenant.requests
                if query.get("method") in (None, record.method)
                and record.path.startswith(query.get("path", "/"))
                and status in (None, record.status)
                and code in (None, record.code)
                and ("contains" not in query or _contains(request_json(record, tenant), query["contains"]))
            ]

        page = _Page(query, lambda: [record.log_id for record in tenant.requests], "request")
        wanted = set(await _wait_for(lambda: page.cut(find()), query, tenant))
        return [request_json(one, tenant) for one in tenant.requests if one.log_id in wanted]

    def request(self, request: web.Request, _body: JsonObject) -> JsonObject:
        """One call of the app."""
        log_id = request.match_info["log_id"]
        for record in reversed(self._tenant.requests):
            if record.log_id == log_id:
                return request_json(record, self._tenant)
        raise NotFoundError(f"there is no request {log_id!r}")

    def ledger(self, request: web.Request, _body: JsonObject) -> JsonObject:
        """The newest balance changes, newest first."""
        account_id, limit = request.query.get("account_id"), _limit(request.query)
        found = (one for one in reversed(self._tenant.ledger) if account_id in (None, one.account_id))
        return {"changes": [ledger_json(entry) for entry in itertools.islice(found, limit)]}

    def quotas(self, _request: web.Request, _body: JsonObject) -> JsonObject:
        """The usage of the rate limits."""
        return {"enforced": self._tenant.settings.quotas, "quotas": self.list_quotas()}

    def list_quotas(self) -> list[JsonObject]:
        """Each rate limit of each call, and those of recipients that were used a moment ago."""
        quota = self._sandbox.quota
        calls: dict[str, tuple[Limit, ...]] = {
            f"{api.method} {api.path}": api.limits for api in self._sandbox.apis()
        }
        names = [*calls, *(key for key in quota.keys_in_use() if key not in calls)]
        return [
            {"name": name, "kind": "call" if name in calls else "target", **usage}
            for name in names
            for usage in quota.read_usage(name, calls.get(name))
        ]


def event_json(record: EventRecord) -> JsonObject:
    """An event with its payload: parsed JSON, text if it is not JSON, None for a raw frame."""
    if record.raw_frame is not None:
        return {**record.to_json(), "payload": None}
    text = hide_secrets(record.payload.decode(errors="replace"))
    try:
        return {**record.to_json(), "payload": json.loads(text)}
    except (ValueError, RecursionError):
        return {**record.to_json(), "payload": text}


class _Page:
    """`after` and `limit` of a read: the first ones after an id, or the newest ones without an id.

    An empty `after` is the beginning. list_ids: all ids, oldest first.
    """

    def __init__(self, query: Mapping[str, str], list_ids: Callable[[], Iterable[str]], noun: str) -> None:
        self._after = query.get("after")
        self._limit = _limit(query)
        self._list_ids = list_ids
        if self._after and self._after not in list_ids():
            raise NotFoundError(f'"after": there is no {noun} {self._after!r}')

    def cut(self, found: list[str]) -> list[str]:
        """The part of all matching ids that this page has, oldest first."""
        if self._after is None:
            return found[-self._limit :]
        if self._after:
            is_before = self._after.__ne__
            later = set(itertools.islice(itertools.dropwhile(is_before, self._list_ids()), 1, None))
            found = [one for one in found if one in later]
        return found[: self._limit]


async def _wait_for(find: Callable[[], list[_T]], query: Mapping[str, str], tenant: Tenant) -> list[_T]:
    """Evaluates again after each change until something is found, `wait` seconds of real time at most."""
    deadline = time.monotonic() + _wait_seconds(query)
    changed = asyncio.Event()

    def watcher(_revision: int) -> None:
        changed.set()

    tenant.watchers.append(watcher)
    try:
        while not (found := find()) and not tenant.stopping.is_set():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                break
            try:
                await asyncio.wait_for(
                    changed.wait(), min(remaining, 1)
                )  # looks for the end of the server too
            except TimeoutError:
                continue
            await asyncio.sleep(BETWEEN_READS_SECONDS)
            changed.clear()
        return found
    finally:
        tenant.watchers.remove(watcher)


def _wait_seconds(query: Mapping[str, str]) -> float:
    try:
        seconds = float(query.get("wait", "0"))
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= MAX_WAIT_SECONDS:
        raise BadRequestError(f'"wait" must be a number of seconds from 0 to {MAX_WAIT_SECONDS}')
    return seconds


def _limit(query: Mapping[str, str]) -> int:
    limit = _whole(query, "limit")
    if limit is not None and not 1 <= limit <= MAX_LIMIT:
        raise BadRequestError(f'"limit" must be a whole number from 1 to {MAX_LIMIT}')
    return DEFAULT_LIMIT if limit is None else limit


def _whole(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise BadRequestError(f'"{name}" must be a whole number, not {text!r:.60}') from None


def _choice(query: Mapping[str, str], name: str, values: Sequence[str]) -> str | None:
    value = query.get(name)
    if value is not None and value not in values:
        raise BadRequestError(f'"{name}" must be one of: {", ".join(values)}')
    return value


def _is_in_payload(text: str | None, record: EventRecord) -> bool:
    """Whether the payload contains the text, whichever way its JSON escapes it."""
    return not text or _contains(event_json(record)["payload"], text)


def _contains(content: object, text: str | None) -> bool:
    return not text or text in json.dumps(content, ensure_ascii=False)
