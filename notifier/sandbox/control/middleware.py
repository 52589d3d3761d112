"""Middlewares around every request: access from loopback only, faults, and the request log."""

import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from notifier.sandbox.control.app_routing import SANDBOX, choose_app
from notifier.sandbox.error_codes import CODE, LOG_ID, STATUS_AND_MESSAGE, read_json_object
from notifier.sandbox.exchanges import MAX_KEPT_BYTES, Exchange, RequestRecord
from notifier.sandbox.faults.call_faults import reset_connection, wait_while
from notifier.sandbox.sandbox import Sandbox
from notifier.sandbox.world.world import World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MAX_REQUESTS = 50_000
INTERNAL_ERROR = 2200
FAILED = "the sandbox failed to answer this request"
_logger = logging.getLogger(__name__)
OWN_PATHS = ("/api/", "/static/")
"""Paths of the sandbox itself. All others belong to the platform: faults apply to them, and they are logged."""


def build_middlewares(world: World) -> list[Middleware]:
    """All middlewares of the server, outermost first."""

    @web.middleware
    async def loopback_only(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuses other web pages in the same browser, and host names that resolve to loopback (DNS rebinding)."""
        refusal = _refusal_reason(request)
        if refusal is not None:
            return web.json_response({"error": refusal}, status=403)
        return await handler(request)

    @web.middleware
    async def inject_faults_and_log(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == "/" or request.path.startswith(OWN_PATHS):
            return await handler(request)
        sandbox = request[SANDBOX]
        if sandbox.running_faults.running("black_hole"):
            return await _hold_until_network_is_back(sandbox, request)
        started = time.monotonic()
        request[LOG_ID] = time.strftime("%Y%m%d%H%M%S") + secrets.token_hex(9).upper()
        status = 0
        response: web.StreamResponse | None = None
        body = b""
        try:
            body = await _read_text_body(request)
            response = await _answer(sandbox, request, handler)
            status = response.status
        except web.HTTPException as answer:  # such as 404 for a path that the platform does not have
            status = answer.status
            raise
        finally:
            tenant = sandbox.tenant
            if len(tenant.requests) >= MAX_REQUESTS:
                del tenant.requests[: MAX_REQUESTS // 2]
            tenant.requests.append(
                RequestRecord(
                    at_ms=tenant.clock.now_ms(),
                    method=request.method,
                    path=request.path,
                    status=status,
                    code=request.get(CODE),
                    took_ms=round((time.monotonic() - started) * 1000),
                    log_id=request[LOG_ID],
                )
            )
            tenant.keep_exchange(request[LOG_ID], _build_exchange(request, body, response))
            tenant.bump_revision()
        return response

    return [answer_failures, loopback_only, choose_app(world), inject_faults_and_log, answer_failures]


@web.middleware
async def answer_failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Logs an unexpected error, and answers it in the form of the API that was called.

    It is the innermost middleware too, so that the log of requests has the answer.
    """
    try:
        return await handler(request)
    except web.HTTPException:
        raise
    except Exception:
        if request.writer.output_size > 0:
            raise  # a part of the answer is sent already
        _logger.exception("the sandbox failed to answer %s %s", request.method, request.path)
        if request.path == "/" or request.path.startswith(OWN_PATHS):
            return web.json_response({"error": f"{FAILED}; its log has the details"}, status=500)
        request[CODE] = INTERNAL_ERROR
        status, msg = STATUS_AND_MESSAGE[INTERNAL_ERROR]
        error = {"log_id": request.get(LOG_ID, "")}
        return web.json_response(
            {"code": INTERNAL_ERROR, "msg": f"{msg} {FAILED}", "error": error}, status=status
        )


async def add_log_id_header(request: web.Request, response: web.StreamResponse) -> None:
    """Adds `X-Tt-Logid`, the id of the call in Feishu's logs, to each answer of the platform."""
    if LOG_ID in request:
        response.headers["X-Tt-Logid"] = request[LOG_ID]


async def _answer(sandbox: Sandbox, request: web.Request, handler: Handler) -> web.StreamResponse:
    async def answer() -> web.StreamResponse:
        return await handler(request)

    receive_id = None
    if sandbox.call_faults.rules and request.content_type == "application/json" and request.body_exists:
        wanted = (await read_json_object(request)).get("receive_id")
        receive_id = wanted if isinstance(wanted, str) else None
    path = request.path.rstrip("/")  # a slash at the end is the same call
    call_fault = sandbox.call_faults.claim(request.method, path, receive_id)
    call_fault = call_fault or sandbox.running_faults.claim_call_fault(request.method, path)
    response = (
        await answer() if call_fault is None else await sandbox.call_faults.apply(call_fault, request, answer)
    )
    if sandbox.running_faults.running("black_hole") and not response.prepared:
        return await _hold_until_network_is_back(sandbox, request)  # the fault started during the call
    return response


async def _read_text_body(request: web.Request) -> bytes:
    """The body, for the log; the handler reads it again from memory. Empty for a form, which is read part by part."""
    if not request.body_exists or request.content_type.startswith("multipart/"):
        return b""
    return await request.read()


def _build_exchange(request: web.Request, body: bytes, response: web.StreamResponse | None) -> Exchange:
    answer = response.body if isinstance(response, web.Response) else None
    answer = answer if isinstance(answer, bytes) else b""
    return Exchange(
        query=request.query_string,
        request_headers=tuple(request.headers.items()),
        request_body=body[:MAX_KEPT_BYTES],
        request_bytes=len(body) or request.content_length or 0,
        answer_headers=tuple(response.headers.items()) if response is not None else (),
        answer_body=answer[:MAX_KEPT_BYTES],
        answer_bytes=len(answer),
    )


async def _hold_until_network_is_back(sandbox: Sandbox, request: web.Request) -> web.StreamResponse:
    """Keeps the call unanswered until the fault `black_hole` ends, then resets its connection."""
    for fault in sandbox.running_faults.running("black_hole"):
        sandbox.running_faults.count_hit(fault)
    await wait_while(lambda: bool(sandbox.running_faults.running("black_hole")), request, sandbox.tenant)
    reset_connection(request)
    return web.Response(status=500)


def _refusal_reason(request: web.Request) -> str | None:
    host = urlsplit(f"//{request.host}").hostname
    if host not in LOOPBACK:
        return "the sandbox answers on loopback addresses only"
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        return "the sandbox does not answer other origins"
    own_api = request.path.startswith("/api/")
    if own_api and request.method == "POST" and request.content_type != "application/json":
        return "the sandbox needs Content-Type: application/json"
    return None
