"""Guard: what stands around every call: only this machine may ask, faults on demand, the list of requests."""

import secrets
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from notifier.sandbox.api.error_codes import CODE, LOG_ID
from notifier.sandbox.faults.call_faults import reset, wait_while
from notifier.sandbox.sandbox import Sandbox
from notifier.sandbox.tenant import RequestLine

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LOOPBACK = ("127.0.0.1", "localhost", "::1")
REQUESTS_KEPT = 50_000


def guards(sandbox: Sandbox) -> list[Middleware]:
    """The middlewares, outermost first."""

    @web.middleware
    async def only_this_machine(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Other pages open in the browser must not steer the sandbox, nor a name that points to loopback."""
        refusal = _foreign(request)
        if refusal is not None:
            return web.json_response({"error": refusal}, status=403)
        return await handler(request)

    @web.middleware
    async def with_faults_and_log(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/sandbox") or request.path == "/":
            return await handler(request)
        if sandbox.troubles.running("black_hole"):
            return await _swallow(sandbox, request)
        started = time.monotonic()
        request[LOG_ID] = time.strftime("%Y%m%d%H%M%S") + secrets.token_hex(9).upper()
        status = 0
        try:
            response = await _answer(sandbox, request, handler)
            status = response.status
        except web.HTTPException as answer:  # such as 404 for an address the platform does not have
            status = answer.status
            raise
        finally:
            world = sandbox.world
            if len(world.requests) >= REQUESTS_KEPT:
                del world.requests[: REQUESTS_KEPT // 2]
            world.requests.append(
                RequestLine(
                    at_ms=world.clock.now_ms(),
                    method=request.method,
                    path=request.path,
                    status=status,
                    code=request.get(CODE),
                    took_ms=round((time.monotonic() - started) * 1000),
                    log_id=request[LOG_ID],
                )
            )
            world.touch()
        return response

    return [only_this_machine, with_faults_and_log]


async def say_log_id(request: web.Request, response: web.StreamResponse) -> None:
    """Every answer of the platform carries the id by which its support finds the call."""
    if LOG_ID in request:
        response.headers["X-Tt-Logid"] = request[LOG_ID]


async def _answer(sandbox: Sandbox, request: web.Request, handler: Handler) -> web.StreamResponse:
    async def answer() -> web.StreamResponse:
        return await handler(request)

    receive_id = None
    if sandbox.faults.rules and request.content_type == "application/json" and request.can_read_body:
        try:
            body = await request.json()
        except ValueError:
            body = None
        receive_id = body.get("receive_id") if isinstance(body, dict) else None
    fault = sandbox.faults.take(request.method, request.path, receive_id)
    fault = fault or sandbox.troubles.take_rule(request.method, request.path)
    response = await answer() if fault is None else await sandbox.faults.carry_out(fault, request, answer)
    if sandbox.troubles.running("black_hole") and not response.prepared:
        return await _swallow(sandbox, request)  # it began while the call was carried out
    return response


async def _swallow(sandbox: Sandbox, request: web.Request) -> web.StreamResponse:
    """The call was never heard; it is cut off when the network is back, unless the caller gave up before."""
    for trouble in sandbox.troubles.running("black_hole"):
        sandbox.troubles.hit(trouble)
    await wait_while(lambda: bool(sandbox.troubles.running("black_hole")), request, sandbox.world)
    reset(request)
    return web.Response(status=500)


def _foreign(request: web.Request) -> str | None:
    host = urlsplit(f"//{request.host}").hostname
    if host not in LOOPBACK:
        return "the sandbox answers on loopback addresses only"
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        return "the sandbox does not answer other origins"
    own_api = request.path.startswith("/sandbox/api")
    if own_api and request.method == "POST" and request.content_type != "application/json":
        return "the sandbox wants Content-Type: application/json"
    return None
