"""The long-connection client of lark-oapi. Parts that lose or delay events are replaced.

The import of this module imports the SDK (about 2 s and 170 MB). Only listener.py imports it, in its own thread.

Each replacement corrects a defect in the source of lark-oapi 1.7.5:
- A data frame gets its response only after its event is stored. Storing does not block pings and other frames.
  (The SDK runs handlers synchronously on its loop.)
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
- The SDK's cache of parts is stopped, as chunks.py replaces it. (The SDK leaks a task for every connection.)
- The receive loop runs on the current event loop and reports its end. (The SDK's task ends without notice, on a loop
  captured at import.)
"""

import asyncio
import base64
import contextlib
import json
import logging
import socket
import time
from collections.abc import Mapping
from typing import Any

import lark_oapi
from lark_oapi.core.exception import EventException
from lark_oapi.ws import client as sdk
from lark_oapi.ws.enum import FrameType, MessageType
from lark_oapi.ws.exception import ClientException
from lark_oapi.ws.model import ClientConfig
from lark_oapi.ws.pb.pbbp2_pb2 import Frame

from notifier.domain.event import BALANCE_CHANGED, CARD_CLICKED, UNREADABLE, Event
from notifier.feishu.callback_answers import CallbackAnswers, StoreEvent, log_not_stored
from notifier.feishu.long_connection.chunks import ChunkAssembler
from notifier.feishu.long_connection.discovery import Endpoint, connect_error
from notifier.feishu.wire import read_event

log = logging.getLogger(__name__)

IMPORT_LOOP = sdk.loop
"""The event loop that the SDK takes, or makes where none runs, when it is imported. Each client replaces it in the SDK;
a made one is kept here, because it would be collected unclosed.
"""

CONNECT_SECONDS = 15.0
CLOSE_SECONDS = 2.0
SEND_SECONDS = 10.0
SHORTEST_PING_SECONDS, LONGEST_PING_SECONDS = 1, 120
PONG_SECONDS = 30.0
"""Feishu answers every ping with a pong. If no frame arrives this long after a ping, or within half a ping interval if
that is shorter, the connection is dead.
"""

INBOUND_EVENTS = (
    "im.message.receive_v1",
    "im.message.message_read_v1",
    "im.chat.access_event.bot_p2p_chat_entered_v1",
    "im.chat.member.bot.added_v1",
    "im.chat.member.bot.deleted_v1",
    "im.chat.disbanded_v1",
    "application.bot.menu_v6",
)
"""Events that a bot's app commonly subscribes to, besides the balance event. They are stored like all events."""


def make_dispatcher() -> Any:  # noqa: ANN401 - the SDK is untyped here
    """Return the SDK's dispatcher, which detects unknown event types. It handles no card callbacks and stores nothing.

    Both arguments of the builder must be empty on a long connection.
    """
    builder = lark_oapi.EventDispatcherHandler.builder("", "")
    builder.register_p2_hire_referral_account_assets_update_v1(lambda _event: None)
    for event_type in INBOUND_EVENTS:
        builder.register_p2_customized_event(event_type, lambda _event: None)
    return builder.build()


class LongConnectionClient(sdk.Client):  # type: ignore[misc]  # the SDK is untyped
    """One connection: call connect_once(), then serve(), which returns when the connection ends. Never reconnects.

    store: stores an event. logged_unknown_types: unknown event types that are already logged; the caller keeps the
    set over several connections, so that each type is logged once.
    """

    def __init__(
        self,
        *,
        app_id: str,
        app_secret: str,
        base_url: str,
        store: StoreEvent,
        logged_unknown_types: set[str],
    ) -> None:
        super().__init__(
            app_id,
            app_secret,
            log_level=lark_oapi.LogLevel.CRITICAL,  # this program logs the same events itself
            event_handler=make_dispatcher(),
            domain=base_url,
            auto_reconnect=False,
        )
        self._cache._cron.cancel()  # noqa: SLF001 - it never ends and would keep this client in memory
        self._store = store
        self._answers = CallbackAnswers(store)
        self._endpoint_url = ""
        self._ended = asyncio.Event()
        self._end_reason = "closed by this program"
        self._logged_unknown_types = logged_unknown_types
        self._frame_tasks: set[asyncio.Task[None]] = set()
        self._chunks = ChunkAssembler()
        self.last_frame_at = time.monotonic()

    async def connect_once(self, endpoint: Endpoint) -> None:
        """Connect. Raises ConnectionRefused if an administrator must act; any other exception is temporary."""
        self._configure_from(endpoint.config)
        self._endpoint_url = endpoint.url
        try:
            await asyncio.wait_for(self._connect(), CONNECT_SECONDS)
        except ClientException as error:
            raise connect_error(error.code, str(error)) from error

    async def serve(self) -> str:
        """Answer frames and send pings until the connection ends; return the reason, for operators."""
        try:
            while not await self._ended_within(0):
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
        finally:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._disconnect(), CLOSE_SECONDS)
        return f"the connection ended: {self._end_reason}"

    async def _ended_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)
        return self._ended.is_set()

    async def _ping(self) -> None:
        """Send a ping. If this fails, no pong arrives, and serve() ends the connection."""
        frame = sdk._new_ping_frame(int(self._service_id or 0))  # noqa: SLF001 - the wire form is the SDK's
        try:
            await asyncio.wait_for(self._write_message(frame.SerializeToString()), SEND_SECONDS)
        except Exception as error:  # noqa: BLE001 - see above
            log.info("ping.lost", extra={"reason": type(error).__name__})

    async def shut_down(self) -> None:
        """Close the connection with a close handshake."""
        self._ended.set()
        await self._disconnect()

    def abort(self) -> None:
        """Close the socket without a handshake. Also works from another thread, while this client's loop is blocked."""
        transport = getattr(self._conn, "transport", None)
        raw_socket = transport.get_extra_info("socket") if transport is not None else None
        if raw_socket is not None:
            with contextlib.suppress(OSError):
                raw_socket.shutdown(socket.SHUT_RDWR)

    def _get_conn_url(self) -> str:
        return self._endpoint_url

    def _configure(self, conf: ClientConfig) -> None:
        """A pong may contain a ClientConfig, too."""
        self._configure_from({"PingInterval": conf.PingInterval})

    def _configure_from(self, config: Mapping[str, Any]) -> None:
        """Use the ping interval only, as this client does not reconnect."""
        seconds = config.get("PingInterval")
        if isinstance(seconds, int) and not isinstance(seconds, bool) and seconds > 0:
            self._ping_interval = min(max(seconds, SHORTEST_PING_SECONDS), LONGEST_PING_SECONDS)

    async def _receive_message_loop(self) -> None:
        try:
            while self._conn is not None:
                message = await self._conn.recv()
                task = asyncio.ensure_future(self._handle_message(message))
                self._frame_tasks.add(task)
                task.add_done_callback(self._frame_tasks.discard)
        except Exception as error:  # noqa: BLE001 - any error ends the connection
            self._end_reason = f"{type(error).__name__}: {error}"
            log.info("connection.ended", extra={"reason": self._end_reason})
        finally:
            self._ended.set()

    async def _handle_message(self, msg: bytes | str) -> None:
        """Process one frame. Never raises, as only the SDK's logger would show the exception."""
        self.last_frame_at = time.monotonic()
        raw = msg.encode() if isinstance(msg, str) else msg
        try:
            frame = Frame()
            frame.ParseFromString(raw)
            if frame.method == FrameType.CONTROL.value:
                await self._handle_control_frame(frame)
                return
            whole = self._assemble_payload(frame)
        except Exception as error:  # noqa: BLE001 - a bad frame must not end the connection
            await self._store_unreadable(raw, error)
            return
        if whole is not None:
            await self._answer_frame(frame, *whole)

    async def _store_unreadable(self, raw: bytes, error: Exception) -> None:
        log.warning(
            "frame.parse_failed", extra={"reason": f"{type(error).__name__}: {error}", "size": len(raw)}
        )
        event = read_event(raw, app_id=self._app_id)
        try:
            await self._store(event)
        except Exception:
            log.exception("frame.store_failed", extra={"size": len(raw)})

    def _assemble_payload(self, frame: Frame) -> tuple[bytes, MessageType] | None:
        """Return the payload and its type, or None while parts are missing. Raises if a transport header is missing."""
        headers = {header.key: header.value for header in frame.headers}
        part_count, part_number = int(headers["sum"]), int(headers["seq"])
        kind = MessageType(headers["type"])
        payload: bytes | None = frame.payload
        if part_count > 1:
            payload = self._chunks.add(
                headers["message_id"], total=part_count, number=part_number, part=frame.payload
            )
        return None if payload is None else (payload, kind)

    async def _answer_frame(self, frame: Frame, payload: bytes, kind: MessageType) -> None:
        started = time.monotonic()
        code, answer = await self._process(payload, kind)
        elapsed = frame.headers.add()
        elapsed.key, elapsed.value = "biz_rt", str(round((time.monotonic() - started) * 1000))
        body: dict[str, object] = {"code": code}
        if answer is not None:
            body["data"] = base64.b64encode(answer.encode()).decode()
        frame.payload = json.dumps(body).encode()
        try:
            await self._write_message(frame.SerializeToString())
        except Exception as error:  # noqa: BLE001 - the event is stored; the repeat is a duplicate
            log.info("answer.lost", extra={"reason": type(error).__name__})

    async def _process(self, payload: bytes, kind: MessageType) -> tuple[int, str | None]:
        """Return code and data of the response: 200 only if the event is stored, but always for a card callback."""
        event = read_event(payload, app_id=self._app_id)
        if event.event_type == CARD_CLICKED:
            return 200, await self._answers.answer_click(event)
        try:
            await self._store(event)
        except Exception as error:  # noqa: BLE001 - code 500 makes Feishu send it again
            log_not_stored(event, error)
            return 500, None
        return 200, self._answer(event, payload, kind)

    def _answer(self, event: Event, payload: bytes, kind: MessageType) -> str | None:
        """Return the data of the response: none for an event, `{}` for a `card` frame. The event is already stored."""
        try:
            self._event_handler._do_without_validation(payload)  # noqa: SLF001 - its public twin is deprecated
        except EventException:
            self._log_unknown_type(event)
        except Exception as error:  # noqa: BLE001 - the SDK's models are strict; the stored payload counts
            if event.event_type != UNREADABLE:
                log.warning(
                    "event.model_rejected",
                    extra={
                        "event_type": event.event_type,
                        "event_key": event.key,
                        "reason": type(error).__name__,
                    },
                )
            return "{}" if kind is MessageType.CARD else None
        return None

    def _log_unknown_type(self, event: Event) -> None:
        """Log an unknown event type once, as each of its events would repeat the line."""
        if event.event_type not in {UNREADABLE, *self._logged_unknown_types}:
            self._logged_unknown_types.add(event.event_type)
            log.warning(
                "event.type_unrecognized", extra={"event_type": event.event_type, "used": BALANCE_CHANGED}
            )


def use_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Make the SDK schedule its tasks on this loop. It uses one module-level loop, captured at import."""
    sdk.loop = loop


__all__ = ["LongConnectionClient", "use_loop"]
