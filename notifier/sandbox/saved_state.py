"""Keeps Feishu's side in a file, so that a later run continues with the same accounts, messages and events.

Not kept: access tokens, running faults, rate limits, and the logs of requests and refusals.
"""

import asyncio
import base64
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from notifier.sandbox.api.hire import BookedOrder
from notifier.sandbox.api.rewards import ExternalReward
from notifier.sandbox.app_console import AppSettings
from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.payroll import ReceivedPayout
from notifier.sandbox.push.events import EventRecord, Push
from notifier.sandbox.sandbox import Sandbox
from notifier.sandbox.tenant import Account, Group, Mention, Message, PersonStatus, Reaction, TenantPerson

_T = TypeVar("_T")
FORMAT = 3
DEBOUNCE_SECONDS = 0.1
"""Combines several changes into one write. Changes of this last moment are lost when the process is killed."""


class BadStateFileError(ValueError):
    """The file of an earlier run cannot be read. The text is shown to the user."""


class StateFile:
    """The file of one sandbox."""

    def __init__(self, path: Path, sandbox: Sandbox) -> None:
        self._path = path
        self._sandbox = sandbox

    def restore(self) -> bool:
        """Continues with the state of the file. False without a file. Raises BadStateFileError."""
        try:
            saved = json.loads(self._path.read_text(encoding="ascii"))
        except FileNotFoundError:
            return False
        except (OSError, ValueError, RecursionError) as error:
            raise BadStateFileError(f"{self._path} cannot be read: {error}") from error
        try:
            if saved["format"] != FORMAT:
                raise BadStateFileError(f"{self._path} was written by another version of the sandbox")
            _restore(self._sandbox, saved)
        except (AttributeError, ArithmeticError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, BadStateFileError):
                raise
            raise BadStateFileError(
                f"{self._path} is not a file of the sandbox ({type(error).__name__}: {error})"
            ) from error
        return True

    def save(self) -> None:
        """Writes the state. A reader finds the old or the new file, never a part."""
        self._write(_dump(self._sandbox))

    async def run(self) -> None:
        """Saves after each change, until the task is cancelled."""
        changed = asyncio.Event()

        def watcher(_revision: int) -> None:
            changed.set()

        self._sandbox.tenant.watchers.append(watcher)
        while True:
            await changed.wait()
            await asyncio.sleep(DEBOUNCE_SECONDS)
            changed.clear()
            await asyncio.to_thread(self._write, _dump(self._sandbox))

    def _write(self, text: str) -> None:
        written = self._path.with_name(f"{self._path.name}.new")
        with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        written.replace(self._path)


def _dump(sandbox: Sandbox) -> str:
    tenant, clock = sandbox.tenant, sandbox.tenant.clock
    saved = {
        "format": FORMAT,
        "clock": {"ahead_seconds": clock.ahead_seconds, "skipped_seconds": clock.skipped_seconds},
        "last_modify_ms": sandbox.last_modify_ms,
        "people": list(tenant.people.values()),
        "groups": list(tenant.groups.values()),
        "accounts": list(tenant.accounts.values()),
        "messages": list(tenant.messages.values()),
        "uuids": sandbox.messages.uuids,
        "files": tenant.files,
        "images": tenant.images,
        "console": {"draft": tenant.console.draft, "published": tenant.console.published},
        "on_hold": sandbox.pusher.on_hold,
        "events": list(sandbox.pusher.records.values()),
        "orders": list(sandbox.hire.orders.values()),
        "rewards": list(sandbox.rewards.rewards.values()),
        "payouts": list(sandbox.payroll.payouts.values()),
    }
    return json.dumps(saved, default=_plain)


def _plain(value: object) -> object:
    """The JSON form of a value that JSON does not have."""
    match value:
        case Decimal():
            return str(value)
        case Enum():
            return value.value
        case bytes():
            return base64.b64encode(value).decode()
        case set() | frozenset():
            return sorted(value)
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} cannot be saved")


def _restore(sandbox: Sandbox, saved: dict[str, Any]) -> None:
    tenant, pusher = sandbox.tenant, sandbox.pusher
    tenant.clock.restore(**saved["clock"])
    sandbox.last_modify_ms = saved["last_modify_ms"]
    tenant.people = _read(TenantPerson, saved["people"], key="open_id", status=PersonStatus)
    tenant.groups = _read(Group, saved["groups"], key="chat_id")
    tenant.accounts = _read(Account, saved["accounts"], key="account_id", cash=_amounts)
    tenant.messages = _read(Message, saved["messages"], key="message_id", **_MESSAGE_READERS)
    sandbox.messages.uuids = {uuid: (sent_at, sent) for uuid, (sent_at, sent) in saved["uuids"].items()}
    tenant.files = {key: _file(file) for key, file in saved["files"].items()}
    tenant.images = set(saved["images"])
    tenant.console.draft = _read_settings(saved["console"]["draft"])
    published = saved["console"]["published"]
    tenant.console.published = None if published is None else _read_settings(published)
    pusher.on_hold = bool(saved["on_hold"])
    pusher.records = _read(
        EventRecord,
        saved["events"],
        key="event_id",
        payload=base64.b64decode,
        raw_frame=lambda frame: None if frame is None else base64.b64decode(frame),
        pushes=lambda pushes: [Push(**push) for push in pushes],
        held_by_fault=lambda _: None,  # faults are not kept
        in_flight=lambda _: 0,
    )
    # events that wait for the first client, or for the end of a fault, go to the first client of this run
    pusher.release_on_connect = not pusher.on_hold
    _reschedule(pusher.records.values(), now=tenant.clock.elapsed())
    orders = _read(BookedOrder, saved["orders"], key="external_order_id", kinds=frozenset, cash=_amounts)
    sandbox.hire.orders = orders
    rewards = saved.get("rewards", [])  # older files have none
    sandbox.rewards.rewards = _read(ExternalReward, rewards, key="reward_id", cash=_amounts)
    sandbox.payroll.payouts = _read(ReceivedPayout, saved["payouts"], key="order_id")


def _reschedule(records: Iterable[EventRecord], *, now: float) -> None:
    """An event whose push was interrupted is due at once."""
    for record in records:
        if record.state == "waiting" and not record.held and record.next_push_at is None:
            record.next_push_at = now


def _read(
    kind: type[_T], saved: list[JsonObject], *, key: str, **readers: Callable[[Any], object]
) -> dict[str, _T]:
    """Builds the objects of one kind by their key. readers: turn the JSON form of a field into its value."""
    found: dict[str, _T] = {}
    for each in saved:
        read = {name: readers[name](value) if name in readers else value for name, value in each.items()}
        found[str(each[key])] = kind(**read)
    return found


def _read_settings(saved: JsonObject) -> AppSettings:
    return AppSettings(
        **{name: set(value) if isinstance(value, list) else value for name, value in saved.items()}  # type: ignore[arg-type]
    )


def _amounts(cash: dict[str, str]) -> dict[str, Decimal]:
    return {currency: Decimal(amount) for currency, amount in cash.items()}


def _file(file: JsonObject) -> JsonObject:
    return {**file, "content": base64.b64decode(str(file["content"]))}


def _read_list(kind: type[_T]) -> Callable[[list[JsonObject]], list[_T]]:
    """Reads a list of objects of one kind."""
    return lambda saved: [kind(**each) for each in saved]


def _no(_saved: object) -> bool:
    return False


_MESSAGE_READERS: dict[str, Callable[[Any], object]] = {
    "has_pending_click": _no,
    "mentions": _read_list(Mention),
    "reactions": _read_list(Reaction),
}
"""Readers of the fields of a message that JSON does not keep as they are."""
