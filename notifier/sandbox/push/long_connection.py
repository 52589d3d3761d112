"""The long connection: endpoint discovery, the WebSockets of the app, frames and acknowledgements."""

import asyncio
import base64
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from notifier.sandbox.api.gateway import Api, Call
from notifier.sandbox.api.quota import PER_SECOND_10
from notifier.sandbox.error_codes import CODE, JsonObject, read_json_object
from notifier.sandbox.faults.call_faults import is_disconnected, reset_connection, wait_while
from notifier.sandbox.faults.running import RunningFault, RunningFaults
from notifier.sandbox.push.connection_status import ListeningStatus
from notifier.sandbox.push.frame_damage import damage_frames
from notifier.sandbox.push.frames import CONTROL, DATA, Frame, FrameError
from notifier.sandbox.settings import new_secret
from notifier.sandbox.tenant import Tenant, new_id

PATH = "/ws/v2"
SERVICE_ID = 33554678
EMPTY_CREDENTIAL, BAD_CREDENTIAL, TOO_MANY = 1000040344, 1000040345, 1000040350
FORBIDDEN = 403


@dataclass(frozen=True, slots=True)
class Ack:
    """The answer of the app to one data frame. data: the decoded answer to a callback, or None."""

    code: int
    data: bytes | None


@dataclass(slots=True, eq=False)
class ClientConnection:
    """One WebSocket of the app."""

    connection_id: str  # device_id of the connection URL
    socket: web.WebSocketResponse  # the open WebSocket
    request: web.Request  # the handshake
    waiting: dict[str, tuple[asyncio.Future[Ack], Callable[[Ack], None]]] = field(default_factory=dict)
    """By message_id: the future of the acknowledgement, and the callback for the moment it arrives."""
    dead_by_fault: str | None = None  # id of the fault that keeps it open but dead, None while it works
    closing: asyncio.Task[bool] | None = None  # the closing handshake, once it is started

    def abort(self) -> None:
        """Resets the TCP connection without a close frame, as a broken network does."""
        reset_connection(self.request)

    def close(self, code: int) -> None:
        """Starts the closing handshake with a close code."""
        if self.closing is None:
            self.closing = asyncio.get_running_loop().create_task(self.socket.close(code=code))


class NotConnectedError(Exception):
    """No client is connected."""


class ConnectionLostError(Exception):
    """The connection was lost before the client answered."""


class LongConnection:
    """All long connections of the app.

    other_connections: simulated connections elsewhere, which count against the limit but get no events.
    pings: ping frames received so far. new_connection: set after each new connection.
    """

    def __init__(self, tenant: Tenant, running_faults: RunningFaults) -> None:
        self._tenant = tenant
        self._running_faults = running_faults
        self._settings = tenant.settings
        self._tickets: dict[str, float] = {}
        self._is_silent = False
        self.connections: list[ClientConnection] = []
        self.other_connections = 0
        self.pings = 0
        self.status = ListeningStatus(tenant.clock)
        self.new_connection = asyncio.Event()

    @property
    def count(self) -> int:
        """The connections as the platform counts them; it does not know which ones are dead."""
        planted = len(self._running_faults.running("setup:other_program"))
        return len(self.connections) + self.other_connections + planted

    @property
    def dead(self) -> int:
        """The number of connections that are open but dead."""
        return sum(self._is_dead(one) for one in self.connections)

    def to_json(self) -> JsonObject:
        """The status, the number of dead connections, and the simulated ones."""
        return {**self.status.to_json(), "dead": self.dead, "other_connections": self.other_connections}

    def apis(self) -> list[Api]:
        """The call for the number of live connections. Feishu does not document it; existing clients use it."""
        if not self._settings.connection_count_known:
            return []
        path = "/open-apis/event/v1/connection"
        return [Api(method="GET", path=path, scopes=(), limits=PER_SECOND_10, answer=self.count_connections)]

    def count_connections(self, _call: Call) -> JsonObject:
        """`GET /open-apis/event/v1/connection`."""
        return {"online_instance_cnt": self.count}

    def silence(self, *, on: bool) -> None:
        """Keeps connections open but neither answers nor pushes, as a half-open network does."""
        self._is_silent = on
        self.notify_changed()

    def notify_changed(self) -> None:
        """Updates the status after a connection was added, lost, marked dead or marked alive."""
        self.status.update(len(self.connections) - self.dead)
        self._tenant.bump_revision()

    def mark_dead(self, fault: RunningFault) -> None:
        """Makes all existing connections dead: they stay open but get no frames and no pongs."""
        for connection in self.connections:
            connection.dead_by_fault = connection.dead_by_fault or fault.fault_id
        self.notify_changed()

    def mark_alive(self, fault: RunningFault) -> None:
        """Ends the effect of this fault on connections that are still open."""
        for connection in self.connections:
            if connection.dead_by_fault == fault.fault_id:
                connection.dead_by_fault = None
        self.notify_changed()

    def _is_dead(self, connection: ClientConnection) -> bool:
        return (
            self._is_silent
            or connection.dead_by_fault is not None
            or bool(self._running_faults.running("black_hole"))
        )

    async def discover(self, request: web.Request) -> web.Response:
        """`POST /callback/ws/endpoint`: always HTTP 200; `code` has the result."""
        code = self._discovery_code(await read_json_object(request))
        request[CODE] = code
        if code:
            self._tenant.refusals[code] += 1
            return web.json_response({"code": code, "msg": f"refused with {code}", "data": {}})
        ticket = new_secret("ticket")
        self._tickets[ticket] = self._tenant.clock.elapsed() + self._settings.ticket_seconds
        device = f"fpid=493&aid=552564&device_id={secrets.randbelow(10**18)}"
        query = f"{device}&access_key={new_secret('access-key')}"
        scheme = "wss" if request.secure else "ws"
        url = f"{scheme}://{request.host}{PATH}?{query}&service_id={SERVICE_ID}&ticket={ticket}"
        data = {"URL": url, "ClientConfig": self._client_config()}
        for fault in self._running_faults.running("finite_reconnect_count", "client_config"):
            self._running_faults.count_hit(fault)
        return web.json_response({"code": 0, "msg": "", "data": data})

    def has_ticket(self, ticket: str) -> bool:
        """Whether this ticket was issued to this app and is not used yet."""
        return ticket in self._tickets

    def _client_config(self) -> JsonObject:
        config = self._settings.client_config.to_wire()
        for fault in self._running_faults.running("finite_reconnect_count"):
            config["ReconnectCount"] = fault.options["count"]
        for fault in self._running_faults.running("client_config"):
            if fault.options["ping_interval_seconds"] is not None:
                config["PingInterval"] = fault.options["ping_interval_seconds"]
            for key in fault.options["without"]:
                config.pop(key, None)
        return config

    def _discovery_code(self, body: JsonObject) -> int:
        if not body.get("AppID") or not body.get("AppSecret"):
            return EMPTY_CREDENTIAL
        if self._running_faults.running("setup:app_disabled"):
            return FORBIDDEN
        if self._running_faults.running("setup:wrong_secret"):
            return BAD_CREDENTIAL
        if (body["AppID"], body["AppSecret"]) != (self._settings.app_id, self._settings.app_secret):
            return BAD_CREDENTIAL
        return TOO_MANY if self.count >= self._settings.connection_limit else 0

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """The WebSocket endpoint. A ticket is valid once, for `ticket_seconds`."""
        expires_at = self._tickets.pop(request.query.get("ticket", ""), 0)
        if expires_at <= self._tenant.clock.elapsed():
            return _handshake_failure(514, "ticket is invalid", auth_code=BAD_CREDENTIAL)
        if self.count >= self._settings.connection_limit:
            return _handshake_failure(514, "connection limit reached", auth_code=TOO_MANY)
        socket = web.WebSocketResponse(autoping=False, autoclose=False, max_msg_size=0)
        await socket.prepare(request)
        connection = ClientConnection(request.query.get("device_id", ""), socket, request)
        closed_at_once = self._running_faults.claim("close_code")
        if closed_at_once is not None:
            await socket.close(code=closed_at_once.options["code"])
            return socket
        dead_at_once = self._running_faults.claim("goes_silent_after_connect")
        connection.dead_by_fault = dead_at_once.fault_id if dead_at_once else None
        self.connections.append(connection)
        self.notify_changed()
        self.new_connection.set()
        try:
            await self._listen(connection)
            await self._close_connection(connection)
        finally:
            self.connections.remove(connection)
            for future, _ in connection.waiting.values():
                if not future.done():
                    future.set_exception(ConnectionLostError())
            self.notify_changed()
        return socket

    async def _close_connection(self, connection: ClientConnection) -> None:
        """A dead connection does not answer a close frame, so the client must time out."""
        await wait_while(lambda: self._is_dead(connection), connection.request, self._tenant)
        if connection.closing is not None:
            await connection.closing
        elif not is_disconnected(connection.request):
            await connection.socket.close()

    async def _listen(self, connection: ClientConnection) -> None:
        async for message in connection.socket:
            if self._is_dead(connection):
                continue
            if message.type == WSMsgType.PING:
                no_pongs = self._running_faults.running("no_pongs")
                if not no_pongs or no_pongs[0].options["websocket_pongs"]:
                    await connection.socket.pong(message.data)
            elif message.type == WSMsgType.BINARY:
                await self._receive(connection, message.data)

    async def _receive(self, connection: ClientConnection, raw: bytes) -> None:
        try:
            frame = Frame.from_bytes(raw)
        except FrameError:
            await connection.socket.close(code=1002, message=b"not a frame")
            return
        if frame.method == CONTROL and frame.header("type") == "ping":
            self.pings += 1
            if self._running_faults.claim("no_pongs"):
                return
            await connection.socket.send_bytes(self._pong(frame).to_bytes())
        elif frame.method == DATA:
            future, on_ack = connection.waiting.get(frame.header("message_id") or "", (None, None))
            if future is not None and on_ack is not None and not future.done():
                ack = _ack(frame.payload or b"")
                future.set_result(ack)
                on_ack(ack)

    def _pong(self, ping: Frame) -> Frame:
        config = json.dumps(self._client_config()).encode()
        payload = config if self._settings.pong_carries_config else None
        return Frame(service=ping.service, method=CONTROL, headers=(("type", "pong"),), payload=payload)

    def pick(self) -> ClientConnection:
        """A random connection, as Feishu's cluster mode. Raises NotConnectedError."""
        if not self.connections:
            raise NotConnectedError
        return secrets.choice(self.connections)

    async def send_and_wait(
        self,
        connection: ClientConnection,
        payload: bytes,
        *,
        trace_id: str,
        on_ack: Callable[[Ack], None] = lambda _ack: None,
        damage: str | None = None,
    ) -> Ack:
        """Sends one payload and waits for its acknowledgement. Raises TimeoutError, ConnectionLostError.

        on_ack: called with the acknowledgement before the next frame is read. damage: one of DAMAGE_TYPES.
        """
        message_id = new_id("msg")
        size = max(1, self._settings.chunk_bytes)
        chunks = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
        frames = [
            Frame(
                service=SERVICE_ID,
                method=DATA,
                headers=(
                    ("type", "event"),
                    ("message_id", message_id),
                    ("trace_id", trace_id),
                    ("sum", str(len(chunks))),
                    ("seq", str(seq)),
                ),
                payload=chunk,
            )
            for seq, chunk in enumerate(chunks)
        ]
        raw = damage_frames(frames, damage) if damage else [frame.to_bytes() for frame in frames]
        return await self.send_raw_and_wait(connection, raw, message_id=message_id, on_ack=on_ack)

    async def send_raw_and_wait(
        self,
        connection: ClientConnection,
        frames: list[bytes],
        *,
        message_id: str,
        on_ack: Callable[[Ack], None] = lambda _ack: None,
    ) -> Ack:
        """Like `send_and_wait`, for encoded WebSocket messages."""
        future: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        connection.waiting[message_id] = future, on_ack
        try:
            async with asyncio.timeout(self._settings.answer_seconds):
                if not self._is_dead(connection):
                    for frame in frames:
                        await connection.socket.send_bytes(frame)
                return await future
        except ConnectionError as error:
            raise ConnectionLostError from error
        finally:
            connection.waiting.pop(message_id, None)

    def disconnect_all(self) -> int:
        """Resets all connections. Returns their number."""
        found = list(self.connections)
        for connection in found:
            connection.abort()
        return len(found)

    def close_all(self, code: int) -> None:
        """Closes all connections with a close frame, except dead ones."""
        for connection in self.connections:
            if not self._is_dead(connection):
                connection.close(code)


def _ack(payload: bytes) -> Ack:
    """Decodes an acknowledgement. One that cannot be read counts as code 500."""
    try:
        content = json.loads(payload)
        data = content.get("data")
        return Ack(int(content["code"]), base64.b64decode(data, validate=True) if data is not None else None)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Ack(500, None)


def _handshake_failure(status: int, msg: str, *, auth_code: int) -> web.Response:
    headers = {"handshake-status": str(status), "handshake-msg": msg, "handshake-autherrcode": str(auth_code)}
    return web.Response(status=403, headers=headers, text=msg)
