"""Pushes events to the app and repeats unacknowledged pushes on Feishu's schedule."""

import asyncio
import base64
from collections.abc import Iterable, Sequence

from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.event_types import EVENT_SCOPES
from notifier.sandbox.faults.catalogue import DAMAGE_TYPES
from notifier.sandbox.faults.running import RunningFault, RunningFaults
from notifier.sandbox.push.events import EventRecord, Push, copy_event, platform_event
from notifier.sandbox.push.frames import Frame, FrameError
from notifier.sandbox.push.long_connection import (
    Ack,
    ConnectionLostError,
    LongConnection,
    NotConnectedError,
)
from notifier.sandbox.push.webhook import UNEXPECTED_ANSWER, WebhookPusher, is_expected
from notifier.sandbox.tenant import Tenant, drop_oldest, new_id


class Pusher:
    """All events, oldest first, and the loop that pushes them.

    A push without an acknowledgement of code 200 is repeated after 15 s, 5 min, 1 h and 6 h (`redelivery_seconds`) with
    the same event_id. After the last repetition the event is given up. A push without a connection counts as failed.
    With `push_waiting_on_connect` a new connection gets all waiting events; these pushes do not count as repetitions.
    """

    def __init__(
        self,
        tenant: Tenant,
        connection: LongConnection,
        webhook: WebhookPusher,
        running_faults: RunningFaults,
    ) -> None:
        self._tenant = tenant
        self._running_faults = running_faults
        self._connection = connection
        self._webhook = webhook
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.records: dict[str, EventRecord] = {}
        self.on_hold = False
        self.release_on_connect = False  # releases all held events to the first connection

    def add(self, records: Iterable[EventRecord], *, times: int = 1, hold: bool = False) -> list[str]:
        """Adds events in pushing order and pushes each `times` times at once. Returns their ids.

        hold: keeps them until `release`.
        """
        ids = []
        for record in records:
            ids.append(record.event_id)
            is_duplicated = self._running_faults.claim("duplicate")
            self._add(record, times=max(times, 2) if is_duplicated else times, hold=hold)
            copy = copy_event(record) if is_duplicated else None
            if copy is not None:
                self._add(copy, times=1, hold=hold)
        drop_oldest(
            self.records, self._tenant.settings.keep_records, finished=lambda record: record.is_finished
        )
        self._tenant.bump_revision()
        return ids

    def publish(self, event_type: str, event: JsonObject, scopes: Sequence[str] | None = None) -> list[str]:
        """Pushes an event at once. Returns the ids of the pushed events.

        Nothing is pushed when the app does not subscribe to the type, or has none of the scopes (by default those of
        the type).
        """
        live = self._tenant.console.live
        demanded = EVENT_SCOPES[event_type] if scopes is None else scopes
        if event_type not in live.events or (demanded and live.scopes.isdisjoint(demanded)):
            self._tenant.bump_revision()
            return []
        return self.add([platform_event(self._tenant, event_type, event)])

    def _add(self, record: EventRecord, *, times: int, hold: bool) -> None:
        self.records[record.event_id] = record
        reorder = next(iter(self._running_faults.running("reorder")), None)
        record.held = hold or self.on_hold or reorder is not None
        record.in_flight = 0
        if reorder is not None and not hold:
            record.held_by_fault = reorder.fault_id
            self._running_faults.count_hit(reorder)  # the last hit ends the fault and releases the event
        elif not record.held:
            for _ in range(times):
                self._start(record, is_scheduled=record.in_flight == 0)

    def release_reversed(self, fault: RunningFault) -> None:
        """Pushes the events that this fault held, newest first."""
        for record in reversed(list(self.records.values())):
            if record.held and record.held_by_fault == fault.fault_id:
                record.held = False
                self._start(record, is_scheduled=True)

    def release(self) -> int:
        """Ends the hold and pushes all held events. Returns their number."""
        self.on_hold = False
        held = [record for record in self.records.values() if record.held]
        for record in held:
            record.held = False
            self._start(record, is_scheduled=True)
        self._tenant.bump_revision()
        return len(held)

    def wake(self) -> None:
        """Checks now which pushes are due, after the clock was moved."""
        self._wake.set()

    async def run(self) -> None:
        """Pushes due events until the task is cancelled."""
        new_connections = asyncio.create_task(self._push_to_new_connections())
        try:
            while True:
                self._wake.clear()
                due = self._push_due()
                try:
                    async with asyncio.timeout(due):
                        await self._wake.wait()
                except TimeoutError:
                    continue
        finally:
            new_connections.cancel()
            for task in self._tasks:
                task.cancel()

    async def _push_to_new_connections(self) -> None:
        while True:
            await self._connection.new_connection.wait()
            self._connection.new_connection.clear()
            if self.release_on_connect:
                self.release_on_connect = False
                self.release()
            if self._tenant.settings.push_waiting_on_connect:
                for record in list(self.records.values()):
                    if record.state == "waiting" and not record.held and not record.in_flight:
                        self._start(record, is_scheduled=False)

    def _push_due(self) -> float | None:
        """Starts the due pushes. Returns the seconds until the next one, None without one."""
        now = self._tenant.clock.elapsed()
        waits = []
        for record in list(self.records.values()):
            if record.next_push_at is None or record.state != "waiting":
                continue
            if record.next_push_at <= now:
                self._start(record, is_scheduled=True)
            else:
                waits.append(record.next_push_at - now)
        return min(waits, default=None)

    def _start(self, record: EventRecord, *, is_scheduled: bool) -> None:
        if is_scheduled:
            record.next_push_at = None
        record.in_flight += 1
        task = asyncio.get_running_loop().create_task(self._push(record, is_scheduled=is_scheduled))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _push(self, record: EventRecord, *, is_scheduled: bool) -> None:
        push = Push(self._tenant.clock.now_ms())
        started = self._tenant.clock.elapsed()
        record.pushes.append(push)
        try:
            ack = await self._send(push, record)
            push.code = ack.code
            if push.connection == "webhook" and ack.code == 200 and not is_expected(ack.data):
                push.code = UNEXPECTED_ANSWER
            push.took_ms = round((self._tenant.clock.elapsed() - started) * 1000)
        except (NotConnectedError, ConnectionLostError, TimeoutError):
            pass
        finally:
            record.in_flight -= 1
        if push.code == 200:
            record.state = "acknowledged"
            record.next_push_at = None
        elif is_scheduled and record.state == "waiting":
            self._schedule(record)
        self._tenant.bump_revision()

    async def _send(self, push: Push, record: EventRecord) -> Ack:
        if self._webhook.url:
            push.connection = "webhook"
            if self._running_faults.running("black_hole"):
                await asyncio.sleep(self._tenant.settings.answer_seconds)
                raise TimeoutError
            if record.raw_frame is not None:
                return await self._webhook.send_and_wait(record.raw_frame)
            return await self._webhook.send_and_wait(record.payload, damage=self._damage(record))
        connection = self._connection.pick()
        push.connection = connection.connection_id
        if record.raw_frame is None:
            damage = self._damage(record)
            return await self._connection.send_and_wait(
                connection, record.payload, trace_id=record.event_id, damage=damage
            )
        message_id = _message_id(record.raw_frame) or new_id("msg")
        return await self._connection.send_raw_and_wait(connection, [record.raw_frame], message_id=message_id)

    def _damage(self, record: EventRecord) -> str | None:
        """The damage of this push, None for an intact one. Each event is damaged at most once."""
        fault = None if record.was_damaged else self._running_faults.claim("corrupt")
        if fault is None:
            return None
        record.was_damaged = True
        return fault.options["damage"] or DAMAGE_TYPES[(fault.hits - 1) % len(DAMAGE_TYPES)]

    def _schedule(self, record: EventRecord) -> None:
        schedule = self._tenant.settings.redelivery_seconds
        if record.failures >= len(schedule):
            record.state = "given_up"
            return
        record.next_push_at = self._tenant.clock.elapsed() + schedule[record.failures]
        record.failures += 1
        self._wake.set()


def _message_id(raw: bytes) -> str | None:
    try:
        return Frame.from_bytes(raw).header("message_id")
    except FrameError:
        return None


def decode_frame(frame_base64: str) -> bytes:
    """Decodes base64. Raises ValueError."""
    return base64.b64decode(frame_base64, validate=True)
