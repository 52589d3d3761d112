"""A minimal Feishu without state, for noise at full speed: discovery, a long connection, and success for each call."""

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

from aiohttp import WSMsgType, web

from notifier.sandbox.push.frames import CONTROL, DATA, Frame, FrameError
from notifier.sandbox.settings import SandboxSettings, new_secret
from support.noise import SERVICE, frame_of
from support.waiting import wait_until

T = TypeVar("T")
ACCOUNT = {
    "status": 1,
    "referrer": {"id": "ou_noise_owner", "name": {"zh_cn": "林小满", "en_us": "Lin"}},
    "assets": {"confirmed_bonus": {"point_bonus": 10, "cash_bonus": [{"currency_type": "CNY", "amount": 5}]}},
}


class MinimalFeishu:
    """Replaces a FeishuBox in a RunningNotifier.

    acks: codes of acknowledgements by message_id, for tracked pushes. total_connections: connections so far.
    """

    def __init__(self) -> None:
        self.url = ""
        self.app_id, self.app_secret = SandboxSettings().app_id, SandboxSettings().app_secret
        self.acks: dict[str, int] = {}
        self.sent = 0
        self.total_connections = 0
        self._tracked_ids: set[str] = set()
        self._sockets: list[web.WebSocketResponse] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="raw-feishu", daemon=True)
        self._runner: web.AppRunner | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def connections(self) -> int:
        """The number of open connections."""
        return len(self._sockets)

    def wait_for(self, predicate: Callable[[], T | None], description: str, timeout: float = 10) -> T:
        """Waits until the predicate returns a true value, and returns it. timeout: in seconds."""
        return wait_until(predicate, description, seconds=timeout)

    def push(self, frames: list[bytes]) -> None:
        """Sends frames as fast as possible. Frames are lost when the connection ends meanwhile."""
        self._do(self._push(frames))

    def push_tracked(self, payload: bytes, message_id: str) -> None:
        """Sends one valid frame and records its acknowledgement in `acks`."""
        self._tracked_ids.add(message_id)
        self.push([frame_of(payload, message_id=message_id)])

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_post("/callback/ws/endpoint", self._discover)
        app.router.add_get("/ws/v2", self._connect)
        app.router.add_route("*", "/open-apis/{path:.*}", self._call)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def _stop(self) -> None:
        for socket in self._sockets:
            await socket.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _discover(self, request: web.Request) -> web.Response:
        query = f"device_id=1&service_id={SERVICE}&ticket={new_secret('ticket')}&access_key={new_secret('access-key')}"
        config = {"ReconnectCount": -1, "ReconnectInterval": 1, "ReconnectNonce": 0, "PingInterval": 120}
        data = {"URL": f"ws://{request.host}/ws/v2?{query}", "ClientConfig": config}
        return web.json_response({"code": 0, "msg": "", "data": data})

    async def _connect(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        self._sockets.append(socket)
        self.total_connections += 1
        try:
            async for message in socket:
                if message.type == WSMsgType.BINARY:
                    await self._receive(socket, message.data)
        finally:
            self._sockets.remove(socket)
        return socket

    async def _receive(self, socket: web.WebSocketResponse, raw: bytes) -> None:
        try:
            frame = Frame.from_bytes(raw)
        except FrameError:
            return  # the client answered an invalid frame
        name = frame.header("message_id") or ""
        if frame.method == CONTROL and frame.header("type") == "ping":
            pong = Frame(service=SERVICE, method=CONTROL, headers=(("type", "pong"),))
            await socket.send_bytes(pong.to_bytes())
        elif frame.method == DATA and name in self._tracked_ids:
            self.acks[name] = int(json.loads(frame.payload or b"{}").get("code", 0))

    async def _push(self, frames: list[bytes]) -> None:
        for raw in frames:
            if not self._sockets:
                return
            try:
                await self._sockets[-1].send_bytes(raw)
            except ConnectionError:
                return

    async def _call(self, request: web.Request) -> web.Response:
        path = request.path
        if path.endswith("/tenant_access_token/internal"):
            token = {"tenant_access_token": "t-sandbox" + "0" * 32, "expire": 7200}
            return web.json_response({"code": 0, "msg": "ok", **token})
        data: dict[str, object] = {}
        if path.endswith("/get_account_assets"):
            account_id = request.query.get("referral_account_id", "")
            data = {"account": {"account_id": account_id, **ACCOUNT}}
        elif path.endswith("/im/v1/messages"):
            self.sent += 1
            data = {"message_id": f"om_noise_{self.sent}", "chat_id": "oc_noise"}
        return web.json_response({"code": 0, "msg": "success", "data": data})
