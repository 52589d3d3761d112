"""The client of one long connection: answers frames and sends pings.

The handshake is the SDK's: its socket library and options, its reading of Feishu's refusals. The import of this module
imports the SDK. Only listener.py imports it, in its own thread, and without the clients of the APIs (see sdk_parts.py).

The rest replaces the client of lark-oapi 1.7.5, because its source has these defects:
- A data frame gets its response only after its event is stored. Storing does not block pings and other frames.
  (The SDK runs handlers synchronously on its loop.)
- Frames are decoded by the official protobuf runtime, and the JSON is parsed once. (The SDK decodes with pure Python,
  and its dispatcher parses the JSON twice.)
- A burst costs no task and no wake-up per event, and responses are not compressed. (The SDK makes a task per frame.)
- `type=card` frames get a response. (The SDK ignores them.)
- Card callbacks get the document that storing returns, within Feishu's 3 seconds and without the SDK's model of them.
  (The model rejects payloads that Feishu sends, and a handler on the SDK's loop has no time limit.)
- Invalid frames are stored, so that operators can inspect them. (The SDK only logs them.)
- A split payload is reassembled within limits. (The SDK allocates a list of any length that a frame names, accepts
  negative positions, and keeps unfinished payloads without a limit.)
- A ClientConfig with missing keys keeps the previous values, and a value out of range is limited. Its reconnect
  settings are not used. (The SDK sets None and fails later; a finite count ends it permanently.)
- Endpoint discovery is in discovery.py: asynchronous, with a timeout. (The SDK blocks its loop without a limit.)
- Every ping needs a pong in time. (The SDK ignores pongs, so it does not detect a half-open connection.)
- The end of the connection is reported. (The SDK's task ends without notice, on a loop captured at import.)
"""

import asyncio
import contextlib
import functools
import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import websockets
from lark_oapi.ws import client as sdk
from lark_oapi.ws.const import SERVICE_ID
from lark_oapi.ws.enum import MessageType
from lark_oapi.ws.exception import ClientException

from notifier.domain.event import BALANCE_CHANGED, CARD_CLICKED, UNREADABLE, Event
from notifier.feishu.callback_answers import CallbackAnswers, CallbackDocument, log_not_stored
from notifier.feishu.long_connection.chunks import ChunkAssembler
from notifier.feishu.long_connection.discovery import Endpoint, connect_error
from notifier.feishu.long_connection.frames import CONTROL, ReceivedFrame, decode_frame, encode_ping
from notifier.feishu.wire import json_object, read_event, read_json

log = logging.getLogger(__name__)

CONNECT_SECONDS = 15.0
CLOSE_SECONDS = 2.0
SEND_SECONDS = 10.0
DEFAULT_PING_SECONDS, SHORTEST_PING_SECONDS, LONGEST_PING_SECONDS = 120, 1, 120
PONG_SECONDS = 30.0
"""Feishu answers every ping with a pong. If no frame arrives this long after a ping, or within half a ping interval if
that is shorter, the connection is dead.
"""

KNOWN_EVENTS = frozenset(
    {
        BALANCE_CHANGED,
        UNREADABLE,
        "im.message.receive_v1",
        "im.message.message_read_v1",
        "im.chat.access_event.bot_p2p_chat_entered_v1",
        "im.chat.member.bot.added_v1",
        "im.chat.member.bot.deleted_v1",
        "im.chat.disbanded_v1",
        "application.bot.menu_v6",
    }
)
"""The balance event, and events that a bot's app commonly subscribes to. All events are stored, also unknown ones."""


@dataclass(frozen=True, slots=True)
class _Arrival:
    """An event that is being stored. received_at: monotonic seconds."""

    frame: ReceivedFrame
    event: Event
    received_at: float


class LongConnectionClient:
    """One connection: call connect_once(), then serve(), which returns when the connection ends. Never reconnects.

    accept: stores an event, as for the Listener. logged_unknown_types: unknown event types that are already logged; the
    caller keeps the set over several connections, so that each type is logged once.
    """

    def __init__(
        self, *, app_id: str, accept: Callable[[Event], "Future[Any]"], logged_unknown_types: set[str]
    ) -> None:
        self._app_id = app_id
        self._accept = accept
        self._logged_unknown_types = logged_unknown_types
        self._answers = CallbackAnswers(self._store_click)
        self._loop = asyncio.get_running_loop()
        self._conn: Any = None
        self._service_id = 0
        self._ping_interval = DEFAULT_PING_SECONDS
        self._ended = asyncio.Event()
        self._end_reason = "closed by this program"
        self._chunks = ChunkAssembler()
        self._click_tasks: set[asyncio.Task[None]] = set()
        self._stored: deque[tuple[_Arrival, BaseException | None]] = deque()
        self._stored_some = asyncio.Event()
        self._is_wake_scheduled = False
        self.last_frame_at = time.monotonic()

    async def connect_once(self, endpoint: Endpoint) -> None:
        """Connect. Raises ConnectionRefused if an administrator must act; any other exception is temporary."""
        self._configure_from(endpoint.config)
        query = parse_qs(urlsplit(endpoint.url).query)
        self._service_id = int(query.get(SERVICE_ID, ["0"])[0])
        # frames are small, and compression would cost more time than all other work on them
        options = {**sdk._ws_connect_kwargs(), "compression": None}  # noqa: SLF001 - the handshake is the SDK's
        try:
            self._conn = await asyncio.wait_for(websockets.connect(endpoint.url, **options), CONNECT_SECONDS)
        except websockets.InvalidHandshake as failure:
            try:
                sdk._parse_ws_conn_exception(failure)  # noqa: SLF001 - always raises
            except ClientException as error:
                raise connect_error(int(error.code), str(error)) from error

    async def serve(self) -> str:
        """Answer frames and send pings until the connection ends; return the reason, for operators."""
        receiving = asyncio.ensure_future(self._receive_frames())
        answering = asyncio.ensure_future(self._answer_stored_events())
        answering.add_done_callback(lambda _answering: self._ended.set())
        try:
            while not self._ended.is_set():
                sent_at = time.monotonic()
                await self._ping()
                pong_seconds = min(self._ping_interval / 2, PONG_SECONDS)
                if await self._ended_within(pong_seconds):
                    break
                if self.last_frame_at < sent_at:
                    idle_seconds = time.monotonic() - self.last_frame_at
                    log.warning("connection.ping_timed_out", extra={"seconds": round(idle_seconds)})
                    self.abort()  # a close handshake would get no answer
                    return f"silent for {idle_seconds:.0f} s; no frame since a ping"
                if await self._ended_within(self._ping_interval - pong_seconds):
                    break
            if (
                answering.done()
            ):  # only an unexpected error ends it; without responses, the connection is useless
                await answering
        finally:
            answering.cancel()
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._conn.close(), CLOSE_SECONDS)
            receiving.cancel()
        return f"the connection ended: {self._end_reason}"

    async def _ended_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)
        return self._ended.is_set()

    async def _ping(self) -> None:
        """Send a ping. If this fails, no pong arrives, and serve() ends the connection."""
        try:
            await asyncio.wait_for(self._conn.send(encode_ping(self._service_id)), SEND_SECONDS)
        except Exception as error:  # noqa: BLE001 - see above
            log.info("ping.lost", extra={"reason": type(error).__name__})

    async def shut_down(self) -> None:
        """Close the connection with a close handshake."""
        self._ended.set()
        if self._conn is not None:
            await self._conn.close()

    def discard(self) -> None:
        """Free the socket even if the close handshake did not end. Call this last, on this client's loop."""
        if self._conn is not None:
            self._conn.transport.abort()

    def abort(self) -> None:
        """Close the socket without a handshake. Also works from another thread, while this client's loop is blocked."""
        transport = getattr(self._conn, "transport", None)
        raw_socket = transport.get_extra_info("socket") if transport is not None else None
        if raw_socket is not None:
            with contextlib.suppress(OSError):
                raw_socket.shutdown(socket.SHUT_RDWR)

    def _configure_from(self, config: Mapping[str, Any]) -> None:
        """Use the ping interval of a ClientConfig only, as this client does not reconnect."""
        seconds = config.get("PingInterval")
        if isinstance(seconds, int) and not isinstance(seconds, bool) and seconds > 0:
            self._ping_interval = min(max(seconds, SHORTEST_PING_SECONDS), LONGEST_PING_SECONDS)

    async def _receive_frames(self) -> None:
        """Handle frames until the connection ends. A burst is read in one go: recv() suspends only if none waits."""
        try:
            while True:
                message = await self._conn.recv()
                self.last_frame_at = time.monotonic()
                self._handle_frame(message.encode() if isinstance(message, str) else message)
        except Exception as error:  # noqa: BLE001 - any error ends the connection
            self._end_reason = f"{type(error).__name__}: {error}"
            log.info("connection.ended", extra={"reason": self._end_reason})
        finally:
            self._ended.set()

    def _handle_frame(self, raw: bytes) -> None:
        """Process one frame. A wrong frame must not end the connection."""
        try:
            frame = decode_frame(raw)
            kind = MessageType(frame.headers["type"])
            if frame.method == CONTROL:
                if kind is MessageType.PONG and frame.payload:
                    self._configure_from(json_object(read_json(frame.payload), "ClientConfig"))
                return
            payload = self._assemble_payload(frame)
        except Exception as error:  # noqa: BLE001 - see above
            self._store_unreadable(raw, error)
            return
        if payload is not None:
            self._store(frame, payload)

    def _store_unreadable(self, raw: bytes, error: Exception) -> None:
        """Store an invalid frame. It gets no response, as it may not name what to respond to."""
        log.warning(
            "frame.parse_failed", extra={"reason": f"{type(error).__name__}: {error}", "size": len(raw)}
        )
        event = read_event(raw, app_id=self._app_id)
        self._start_storing(event).add_done_callback(functools.partial(_log_unreadable_not_stored, len(raw)))

    def _assemble_payload(self, frame: ReceivedFrame) -> bytes | None:
        """Return the payload, or None while parts are missing. Raises if a transport header is missing or invalid."""
        part_count, part_number = int(frame.headers["sum"]), int(frame.headers["seq"])
        if part_count <= 1:
            return frame.payload
        return self._chunks.add(
            frame.headers["message_id"], total=part_count, number=part_number, part=frame.payload
        )

    def _store(self, frame: ReceivedFrame, payload: bytes) -> None:
        """Start to store an event. Its response follows when it is stored; a click's also when time runs out."""
        arrival = _Arrival(frame, read_event(payload, app_id=self._app_id), self.last_frame_at)
        if arrival.event.event_type == CARD_CLICKED:
            task = asyncio.ensure_future(self._answer_click(arrival))
            self._click_tasks.add(task)
            task.add_done_callback(self._click_tasks.discard)
        else:
            stored = self._start_storing(arrival.event)
            stored.add_done_callback(functools.partial(self._on_stored, arrival))

    def _start_storing(self, event: Event) -> "Future[Any]":
        try:
            return self._accept(event)
        except Exception as error:  # noqa: BLE001 - the event gets code 500, and the connection stays
            failed: Future[Any] = Future()
            failed.set_exception(error)
            return failed

    def _on_stored(self, arrival: _Arrival, stored: "Future[Any]") -> None:
        """Queue the response. Called from the thread that commits, once per event; wakes the loop once per commit."""
        self._stored.append((arrival, stored.exception()))
        if not self._is_wake_scheduled:
            self._is_wake_scheduled = True
            with contextlib.suppress(RuntimeError):  # the loop is closed, and with it the connection
                self._loop.call_soon_threadsafe(self._stored_some.set)

    async def _answer_stored_events(self) -> None:
        while True:
            await self._stored_some.wait()
            self._stored_some.clear()
            self._is_wake_scheduled = False  # before the queue is read: what comes later wakes again
            while self._stored:
                arrival, error = self._stored.popleft()
                await self._answer_event(arrival, error)

    async def _answer_event(self, arrival: _Arrival, error: BaseException | None) -> None:
        """Respond 200 if the event is stored. Code 500 makes Feishu send it again."""
        event, frame = arrival.event, arrival.frame
        if error is not None:
            log_not_stored(event, error)
            await self._respond(arrival, 500)
            return
        if event.event_type not in KNOWN_EVENTS:
            self._log_unknown_type(event)
        is_card_frame = frame.headers["type"] == MessageType.CARD.value
        await self._respond(arrival, 200, data="{}" if is_card_frame else None)

    def _log_unknown_type(self, event: Event) -> None:
        """Log an unknown event type once, as each of its events would repeat the line."""
        if event.event_type not in self._logged_unknown_types:
            self._logged_unknown_types.add(event.event_type)
            log.warning(
                "event.type_unrecognized", extra={"event_type": event.event_type, "used": BALANCE_CHANGED}
            )

    async def _answer_click(self, arrival: _Arrival) -> None:
        await self._respond(arrival, 200, data=await self._answers.answer_click(arrival.event))

    async def _store_click(self, event: Event) -> CallbackDocument | None:
        """Shielded: the end of a connection must not cancel a commit, as Feishu sends a card callback only once."""
        document: CallbackDocument | None = await asyncio.shield(asyncio.wrap_future(self._accept(event)))
        return document

    async def _respond(self, arrival: _Arrival, code: int, *, data: str | None = None) -> None:
        elapsed_ms = round((time.monotonic() - arrival.received_at) * 1000)
        try:
            await self._conn.send(arrival.frame.encode_response(code, data=data, elapsed_ms=elapsed_ms))
        except Exception as error:  # noqa: BLE001 - the event is stored; the repeat is a duplicate
            log.info("answer.lost", extra={"reason": type(error).__name__})


def _log_unreadable_not_stored(size: int, stored: "Future[Any]") -> None:
    error = stored.exception()
    if error is not None:
        log.error("frame.store_failed", exc_info=error, extra={"size": size})
