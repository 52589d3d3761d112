"""Long connection: discovery, the WebSockets of the app, frames out and acknowledgements in."""

import asyncio
import base64
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from notifier.sandbox.frames import CONTROL, DATA, Frame, FrameError
from notifier.sandbox.marks import drawn
from notifier.sandbox.notes import CODE
from notifier.sandbox.refusals import JsonObject
from notifier.sandbox.world import World, new_id

PATH = "/ws/v2"
SERVICE_ID = 33554678
EMPTY_CREDENTIAL, BAD_CREDENTIAL, TOO_MANY = 1000040344, 1000040345, 1000040350


@dataclass(frozen=True, slots=True)
class Ack:
    """The app's answer to one data frame. data: decoded bytes of a callback's answer, or None."""

    code: int
    data: bytes | None


@dataclass(slots=True, eq=False)
class Connection:
    """waiting: by message_id, who waits for its ack, and what is to be called the moment it is read."""

    connection_id: str
    socket: web.WebSocketResponse
    request: web.Request
    waiting: dict[str, tuple[asyncio.Future[Ack], Callable[[Ack], None]]] = field(default_factory=dict)

    def abort(self) -> None:
        """Ends the TCP connection without a WebSocket goodbye, as a broken network does."""
        if self.request.transport is not None:
            self.request.transport.abort()


class NobodyOnlineError(Exception):
    """No client is connected."""


class ConnectionGoneError(Exception):
    """The client went away before it answered."""


class LongConnection:
    """All connections of the app. `newcomer` is set whenever there is a new one."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._settings = world.settings
        self._tickets: dict[str, float] = {}
        self.connections: list[Connection] = []
        self.silent = False  # connections stay open but nothing is answered: a half-open network
        self.newcomer = asyncio.Event()

    async def discover(self, request: web.Request) -> web.Response:
        """`POST /callback/ws/endpoint`: always HTTP 200, the outcome is in `code`."""
        try:
            body = await request.json()
        except ValueError:
            body = {}
        body = body if isinstance(body, dict) else {}
        code = self._discovery_code(body)
        request[CODE] = code
        if code:
            self._world.refusals[code] += 1
            return web.json_response({"code": code, "msg": f"refused with {code}", "data": {}})
        ticket = drawn("ticket")
        self._tickets[ticket] = self._world.clock.now() + self._settings.ticket_seconds
        device = f"fpid=493&aid=552564&device_id={secrets.randbelow(10**18)}"
        query = f"{device}&access_key={drawn('access-key')}"
        url = f"ws://{request.host}{PATH}?{query}&service_id={SERVICE_ID}&ticket={ticket}"
        data = {"URL": url, "ClientConfig": self._settings.client_config.to_wire()}
        return web.json_response({"code": 0, "msg": "", "data": data})

    def _discovery_code(self, body: JsonObject) -> int:
        if not body.get("AppID") or not body.get("AppSecret"):
            return EMPTY_CREDENTIAL
        if (body["AppID"], body["AppSecret"]) != (self._settings.app_id, self._settings.app_secret):
            return BAD_CREDENTIAL
        return TOO_MANY if len(self.connections) >= self._settings.connection_limit else 0

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """The WebSocket itself. A ticket is good once, and for a minute."""
        expires_at = self._tickets.pop(request.query.get("ticket", ""), 0)
        if expires_at <= self._world.clock.now():
            return _handshake_failure(514, "ticket is invalid", auth_code=BAD_CREDENTIAL)
        if len(self.connections) >= self._settings.connection_limit:
            return _handshake_failure(514, "connection limit reached", auth_code=TOO_MANY)
        socket = web.WebSocketResponse(autoping=False, max_msg_size=0)
        await socket.prepare(request)
        connection = Connection(request.query.get("device_id", ""), socket, request)
        self.connections.append(connection)
        self._world.touch()
        self.newcomer.set()
        try:
            await self._listen(connection)
        finally:
            self.connections.remove(connection)
            for future, _ in connection.waiting.values():
                if not future.done():
                    future.set_exception(ConnectionGoneError())
            self._world.touch()
        return socket

    async def _listen(self, connection: Connection) -> None:
        async for message in connection.socket:
            if self.silent:
                continue
            if message.type == WSMsgType.PING:
                await connection.socket.pong(message.data)
            elif message.type == WSMsgType.BINARY:
                await self._receive(connection, message.data)

    async def _receive(self, connection: Connection, raw: bytes) -> None:
        try:
            frame = Frame.from_bytes(raw)
        except FrameError:
            await connection.socket.close(code=1002, message=b"not a frame")
            return
        if frame.method == CONTROL and frame.header("type") == "ping":
            await connection.socket.send_bytes(self._pong(frame).to_bytes())
        elif frame.method == DATA:
            future, answered = connection.waiting.get(frame.header("message_id") or "", (None, None))
            if future is not None and answered is not None and not future.done():
                ack = _ack(frame.payload or b"")
                future.set_result(ack)
                answered(ack)

    def _pong(self, ping: Frame) -> Frame:
        config = json.dumps(self._settings.client_config.to_wire()).encode()
        payload = config if self._settings.pong_carries_config else None
        return Frame(service=ping.service, method=CONTROL, headers=(("type", "pong"),), payload=payload)

    def pick(self) -> Connection:
        """Cluster mode: a random one of all. Raises NobodyOnlineError."""
        if not self.connections:
            raise NobodyOnlineError
        return secrets.choice(self.connections)

    async def ask(
        self,
        connection: Connection,
        payload: bytes,
        *,
        trace_id: str,
        answered: Callable[[Ack], None] = lambda _ack: None,
    ) -> Ack:
        """Sends one payload and waits for its ack. Raises TimeoutError, ConnectionGoneError.

        answered: called with the ack before anything else that came in is looked at.
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
            ).to_bytes()
            for seq, chunk in enumerate(chunks)
        ]
        return await self.ask_raw(connection, frames, message_id=message_id, answered=answered)

    async def ask_raw(
        self,
        connection: Connection,
        frames: list[bytes],
        *,
        message_id: str,
        answered: Callable[[Ack], None] = lambda _ack: None,
    ) -> Ack:
        """The same with ready-made WebSocket messages."""
        future: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        connection.waiting[message_id] = future, answered
        try:
            async with asyncio.timeout(self._settings.answer_seconds):
                if not self.silent:
                    for frame in frames:
                        await connection.socket.send_bytes(frame)
                return await future
        except ConnectionError as error:
            raise ConnectionGoneError from error
        finally:
            connection.waiting.pop(message_id, None)

    def disconnect_all(self) -> int:
        """Aborts every connection; says how many there were."""
        found = list(self.connections)
        for connection in found:
            connection.abort()
        return len(found)


def _ack(payload: bytes) -> Ack:
    """An ack that cannot be read counts as code 500."""
    try:
        content = json.loads(payload)
        data = content.get("data")
        return Ack(int(content["code"]), base64.b64decode(data, validate=True) if data is not None else None)
    except (ValueError, TypeError, KeyError, AttributeError):
        return Ack(500, None)


def _handshake_failure(status: int, msg: str, *, auth_code: int) -> web.Response:
    headers = {"handshake-status": str(status), "handshake-msg": msg, "handshake-autherrcode": str(auth_code)}
    return web.Response(status=403, headers=headers, text=msg)
