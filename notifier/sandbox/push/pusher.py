"""Pusher: sends what is due, takes acknowledgements, and tries again on Feishu's schedule."""

import asyncio
import base64
from collections.abc import Iterable

from notifier.sandbox.faults.catalogue import DAMAGE_TYPES
from notifier.sandbox.faults.running import RunningFault, RunningFaults
from notifier.sandbox.push.events import EventRecord, Push, copy_event
from notifier.sandbox.push.frames import Frame, FrameError
from notifier.sandbox.push.long_connection import (
    Ack,
    ConnectionLostError,
    LongConnection,
    NotConnectedError,
)
from notifier.sandbox.push.webhook import WebhookPusher
from notifier.sandbox.tenant import Tenant, drop_oldest, new_id


class Pusher:
    """Every event ever made, newest last, and the loop that pushes them.

    A push that is not acknowledged with code 200 in time is repeated after 15 s, 5 min, 1 h and 6 h
    (settable), with the same event_id, then given up. Nobody online counts as a failed push. With
    `push_waiting_on_connect` a new connection gets what waits at once; that extra push uses up no step.
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
        self.release_on_connect = False  # what was held before the first client came goes to it

    def add(self, records: Iterable[EventRecord], *, times: int = 1, hold: bool = False) -> list[str]:
        """Takes the events in pushing order. times: pushes made at once of each."""
        ids = []
        for record in records:
            ids.append(record.event_id)
            doubled = self._running_faults.claim("duplicate")
            self._add(record, times=max(times, 2) if doubled else times, hold=hold)
            copy = copy_event(record) if doubled else None
            if copy is not None:
                self._add(copy, times=1, hold=hold)
        drop_oldest(
            self.records, self._tenant.settings.keep_records, finished=lambda record: record.is_finished
        )
        self._tenant.bump_revision()
        return ids

    def _add(self, record: EventRecord, *, times: int, hold: bool) -> None:
        self.records[record.event_id] = record
        backwards = next(iter(self._running_faults.running("reorder")), None)
        record.held = hold or self.on_hold or backwards is not None
        record.in_flight = 0
        if backwards is not None and not hold:
            record.held_by_fault = backwards.fault_id
            self._running_faults.count_hit(backwards)  # may let it go again
        elif not record.held:
            for _ in range(times):
                self._start(record, is_scheduled=record.in_flight == 0)

    def release_reversed(self, fault: RunningFault) -> None:
        """What this trouble held back is pushed, newest first."""
        for record in reversed(list(self.records.values())):
            if record.held and record.held_by_fault == fault.fault_id:
                record.held = False
                self._start(record, is_scheduled=True)

    def release(self) -> int:
        """Ends every hold; says how many events it let go."""
        self.on_hold = False
        held = [record for record in self.records.values() if record.held]
        for record in held:
            record.held = False
            self._start(record, is_scheduled=True)
        self._tenant.bump_revision()
        return len(held)

    def wake(self) -> None:
        """Look again now: the clock was moved."""
        self._wake.set()

    async def run(self) -> None:
        """Pushes what becomes due, for ever."""
        newcomers = asyncio.create_task(self._push_to_new_connections())
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
            newcomers.cancel()
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
        """Starts what is due; says in how many seconds the next one is."""
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
        """How this push is spoilt; an event that was spoilt once comes whole the next time."""
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
    """Raises ValueError."""
    return base64.b64decode(frame_base64, validate=True)
