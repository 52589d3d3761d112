"""lark-oapi's long-connection client, with the parts replaced that would lose or delay events.

Importing this module imports the SDK (about 2 s and 170 MB). Only listener.py does, in the thread that runs it.

Replaced, each for a defect seen in the source of lark-oapi 1.7.5:
- a data frame is answered only after its event is stored, and waiting for that does not block pings and other
  frames (the SDK runs handlers synchronously on its loop);
- `type=card` frames are answered (the SDK swallows them);
- card callbacks are answered with what the storing step gives back, within Feishu's 3 seconds and without the SDK's
  model of them (it rejects payloads that Feishu sends, and a handler on its loop can have no time limit);
- frames that cannot be read are stored for a person to see (the SDK only logs them);
- a payload in parts is put together within bounds (the SDK makes a list as long as a frame says, takes a negative
  number for a place counted from the end, and keeps unfinished ones without a limit);
- a ClientConfig with missing keys keeps the former values, one out of range is held within it, and what it says about
  reconnecting is not needed (the SDK sets None and dies of it later; a finite count ends it for good);
- endpoint discovery is discovery.py's: awaited, with a time limit (the SDK blocks its loop for ever);
- every ping wants a pong in time (the SDK does not look at pongs, so a half-open connection lives on);
- its cache of parts is stopped, as chunks.py has them (the SDK leaves a task behind for every connection, for ever);
- the receive loop runs on the loop that it was started on, and its end is told to whoever runs us (the SDK's task dies
  unseen, and uses one loop captured at import).
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

CONNECT_SECONDS = 15.0
CLOSE_SECONDS = 2.0
SEND_SECONDS = 10.0
SHORTEST_PING_SECONDS, LONGEST_PING_SECONDS = 1, 120
PONG_SECONDS = 30.0
"""Every ping is answered by a pong: where no frame at all has come so long after one, or half an interval if that is
less, the connection is dead, however it looks.
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
"""What a bot's app is commonly subscribed to beside our own event; stored, as all are."""


def make_dispatcher() -> Any:  # noqa: ANN401 - the SDK is untyped here
    """The SDK's dispatcher knows which events there are. Storing has happened before; card callbacks never come here.

    Both arguments of the builder must be empty on a long connection.
    """
    builder = lark_oapi.EventDispatcherHandler.builder("", "")
    builder.register_p2_hire_referral_account_assets_update_v1(lambda _event: None)
    for event_type in INBOUND_EVENTS:
        builder.register_p2_customized_event(event_type, lambda _event: None)
    return builder.build()


class LongConnectionClient(sdk.Client):  # type: ignore[misc]  # the SDK is untyped
    """One connection: connect_once(), then serve() returns when it is over. Never reconnects by itself.

    told_unknown: event types that were said to be unknown; it outlives the connection, so each is said once.
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
            log_level=lark_oapi.LogLevel.CRITICAL,  # what it would say, we say ourselves
            event_handler=make_dispatcher(),
            domain=base_url,
            auto_reconnect=False,
        )
        self._cache._cron.cancel()  # noqa: SLF001 - it never ends, and keeps this client for ever; chunks.py does its work
        self._store = store
        self._answers = CallbackAnswers(store)
        self._endpoint_url = ""
        self._ended = asyncio.Event()
        self._end_reason = "we hung up"
        self._logged_unknown_types = logged_unknown_types
        self._frame_tasks: set[asyncio.Task[None]] = set()
        self._chunks = ChunkAssembler()
        self.last_frame_at = time.monotonic()

    async def connect_once(self, endpoint: Endpoint) -> None:
        """Raises ConnectionRefused, or anything else that may pass."""
        self._configure_from(endpoint.config)
        self._endpoint_url = endpoint.url
        try:
            await asyncio.wait_for(self._connect(), CONNECT_SECONDS)
        except ClientException as error:
            raise connect_error(error.code, str(error)) from error

    async def serve(self) -> str:
        """Answers frames and sends pings until the connection is over. Why it is, for a person."""
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
                    self.abort()  # nobody is there to say goodbye to
                    return f"silent for {idle_seconds:.0f} s; nothing came since a ping"
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
        """A ping that cannot be sent is one without a pong."""
        frame = sdk._new_ping_frame(int(self._service_id or 0))  # noqa: SLF001 - the wire form is the SDK's
        try:
            await asyncio.wait_for(self._write_message(frame.SerializeToString()), SEND_SECONDS)
        except Exception as error:  # noqa: BLE001 - see above
            log.info("ping.lost", extra={"reason": type(error).__name__})

    async def shut_down(self) -> None:
        self._ended.set()
        await self._disconnect()

    def abort(self) -> None:
        """Ends the connection without a word; also from another thread, where our own loop does not turn any more."""
        transport = getattr(self._conn, "transport", None)
        found = transport.get_extra_info("socket") if transport is not None else None
        if found is not None:
            with contextlib.suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)

    def _get_conn_url(self) -> str:
        return self._endpoint_url

    def _configure(self, conf: ClientConfig) -> None:
        """A pong may carry it too."""
        self._configure_from({"PingInterval": conf.PingInterval})

    def _configure_from(self, config: Mapping[str, Any]) -> None:
        """Reconnecting is ours, so only the pings' interval counts."""
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
        except Exception as error:  # noqa: BLE001 - whatever ended it, the connection is over
            self._end_reason = f"{type(error).__name__}: {error}"
            log.info("connection.ended", extra={"reason": self._end_reason})
        finally:
            self._ended.set()

    async def _handle_message(self, msg: bytes | str) -> None:
        """Every frame ends here; an exception would only be seen by the SDK's logger."""
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
        """None while parts are missing. Raises for a frame that lacks the transport's headers."""
        headers = {header.key: header.value for header in frame.headers}
        parts, part = int(headers["sum"]), int(headers["seq"])
        kind = MessageType(headers["type"])
        payload: bytes | None = frame.payload
        if parts > 1:
            payload = self._chunks.add(headers["message_id"], total=parts, number=part, part=frame.payload)
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
        except Exception as error:  # noqa: BLE001 - the event is stored; Feishu sends it again and we know it then
            log.info("answer.lost", extra={"reason": type(error).__name__})

    async def _process(self, payload: bytes, kind: MessageType) -> tuple[int, str | None]:
        """The code and the data of the answer: 200 only when the event is stored, but always for a card callback."""
        event = read_event(payload, app_id=self._app_id)
        if event.event_type == CARD_CLICKED:
            return 200, await self._answers.answer_click(event)
        try:
            await self._store(event)
        except Exception as error:  # noqa: BLE001 - Feishu sends it again when we say so
            log_not_stored(event, error)
            return 500, None
        return 200, self._answer(event, payload, kind)

    def _answer(self, event: Event, payload: bytes, kind: MessageType) -> str | None:
        """An event wants no data, a `card` frame does. What the SDK cannot parse is stored all the same."""
        try:
            self._event_handler._do_without_validation(payload)  # noqa: SLF001 - its public twin is deprecated
        except EventException:
            self._log_unknown_type(event)
        except Exception as error:  # noqa: BLE001 - the SDK's models are strict; the stored bytes are what counts
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
        """Once per type: the subscription is Feishu's to send and ours to answer, not to complain about."""
        if event.event_type not in {UNREADABLE, *self._logged_unknown_types}:
            self._logged_unknown_types.add(event.event_type)
            log.warning(
                "event.type_unrecognized", extra={"event_type": event.event_type, "used": BALANCE_CHANGED}
            )


def use_loop(loop: asyncio.AbstractEventLoop) -> None:
    """The SDK schedules its tasks on one module-level loop, captured at import: make it the given one."""
    sdk.loop = loop


__all__ = ["LongConnectionClient", "use_loop"]
