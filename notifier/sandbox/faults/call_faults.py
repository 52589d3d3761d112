"""Faults: what should go wrong on demand, which calls it hits, and how it is done to them."""

import asyncio
import fnmatch
import itertools
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from aiohttp import web

from notifier.sandbox.api.error_codes import CODE, LOG_ID, JsonObject
from notifier.sandbox.tenant import Tenant

Answer = Callable[[], Awaitable[web.StreamResponse]]
_T = TypeVar("_T")
_FIELDS = "match receive_id times action http_status status code msg headers body seconds"
FIELDS = frozenset(_FIELDS.split())
ACTIONS = ("code", "http", "hang", "reset", "reset_after", "hang_after", "truncate", "delay")


POLL_SECONDS = 0.1


class BadCallFaultError(ValueError):
    """A rule that makes no sense; the text is for the person who wrote it."""


@dataclass(slots=True, kw_only=True)
class CallFault:
    """One rule.

    method and path: what it matches; path is a glob or a beginning. receive_id: only messages to that one.
    times: hits left, None for no end. action: code (JSON with a code) · http (any status and text) · hang and
    reset (the call is not carried out) · hang_after, reset_after and truncate (it is, but the answer is
    lost) · delay.
    """

    fault_id: str
    method: str
    path: str
    action: str
    receive_id: str | None = None
    times: int | None = None
    http_status: int = 400
    code: int = 0
    msg: str = "fault on demand"
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 3600
    hits: int = 0

    def to_json(self) -> JsonObject:
        shown = {name: getattr(self, name) for name in self.__slots__ if name not in ("method", "path")}
        return {**shown, "match": f"{self.method} {self.path}", "headers": dict(self.headers)}

    def matches_call(self, method: str, path: str, receive_id: str | None) -> bool:
        return (
            self.times != 0
            and self.method in ("*", method)
            and (path.startswith(self.path) or fnmatch.fnmatchcase(path, self.path))
            and (self.receive_id is None or self.receive_id == receive_id)
        )


class CallFaults:
    """The rules now in force, oldest first; the first that matches is done."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._numbers = itertools.count(1)
        self.rules: list[CallFault] = []

    def add(self, rule: JsonObject) -> CallFault:
        """Raises BadCallFaultError."""
        fault = parse_call_fault(rule, fault_id=f"call-fault-{next(self._numbers)}")
        self.rules.append(fault)
        self._tenant.bump_revision()
        return fault

    def clear(self, fault_id: str | None = None) -> None:
        self.rules = [fault for fault in self.rules if fault_id is not None and fault.fault_id != fault_id]
        self._tenant.bump_revision()

    def claim(self, method: str, path: str, receive_id: str | None) -> CallFault | None:
        """The rule to do now; counts the hit."""
        for fault in self.rules:
            if fault.matches_call(method, path, receive_id):
                fault.hits += 1
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    async def apply(self, fault: CallFault, request: web.Request, answer: Answer) -> web.StreamResponse:
        """Does it. answer: carries the call out as if nothing was wrong."""
        match fault.action:
            case "code":
                request[CODE] = fault.code
                content = {"code": fault.code, "msg": fault.msg, "error": {"log_id": request[LOG_ID]}}
                return web.json_response(content, status=fault.http_status, headers=fault.headers)
            case "http":
                headers = {"Content-Type": "text/html", **fault.headers}
                return web.Response(status=fault.http_status, body=fault.body.encode(), headers=headers)
            case "delay":
                await self._wait(fault.seconds)
                return await answer()
            case "truncate":
                return await _send_half(request, await answer())
        if fault.action.endswith("_after"):
            await answer()
        if fault.action.startswith("hang"):
            await self._wait(fault.seconds)
        reset_connection(request)
        return web.Response(status=500)

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._tenant.stopping.wait(), seconds)
        except TimeoutError:
            return


def reset_connection(request: web.Request) -> None:
    """Ends the TCP connection with a reset, so that the caller sees an error and not an end of file."""
    if request.transport is None:
        return
    sock = request.transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()


def is_disconnected(request: web.Request) -> bool:
    """The caller has hung up."""
    return request.transport is None or request.transport.is_closing()


async def wait_while(condition: Callable[[], bool], request: web.Request, tenant: Tenant) -> None:
    """Until it lasts no more, the caller is gone, or the server stops."""
    while condition() and not is_disconnected(request) and not tenant.stopping.is_set():  # noqa: ASYNC110 - a caller's going has no signal
        await asyncio.sleep(POLL_SECONDS)


async def _send_half(request: web.Request, whole: web.StreamResponse) -> web.StreamResponse:
    body = whole.body if isinstance(whole, web.Response) and isinstance(whole.body, bytes) else b"{}"
    response = web.StreamResponse(status=whole.status, headers={"Content-Type": "application/json"})
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


def parse_call_fault(rule: JsonObject, *, fault_id: str) -> CallFault:
    """From JSON such as {"match": "POST /open-apis/im/v1/messages", "action": "reset", "times": 1}."""
    unknown = set(rule) - FIELDS
    if unknown:
        raise BadCallFaultError(f"unknown members: {', '.join(sorted(unknown))}")
    match = rule.get("match")
    method, _, path = match.partition(" ") if isinstance(match, str) else ("", "", "")
    if not method or not path.startswith(("/", "*")):
        raise BadCallFaultError(
            '"match" must be a method and a path, such as "POST /open-apis/im/v1/messages"'
        )
    if rule.get("action") not in ACTIONS:
        raise BadCallFaultError(f'"action" must be one of: {", ".join(ACTIONS)}')
    return CallFault(
        fault_id=fault_id,
        method=method,
        path=path,
        action=str(rule["action"]),
        receive_id=_optional(rule, "receive_id", str),
        times=_optional(rule, "times", int),
        http_status=_optional(rule, "http_status", int) or _optional(rule, "status", int) or 400,
        code=_optional(rule, "code", int) or 0,
        msg=_optional(rule, "msg", str) or "fault on demand",
        body=_optional(rule, "body", str) or "",
        headers={str(key): str(value) for key, value in (_optional(rule, "headers", dict) or {}).items()},
        seconds=_seconds(rule),
    )


def _seconds(rule: JsonObject) -> float:
    seconds = rule.get("seconds", 3600)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
        raise BadCallFaultError('"seconds" must be a number from 0')
    return seconds


def _optional(rule: JsonObject, name: str, kind: type[_T]) -> _T | None:
    value = rule.get(name)
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
        raise BadCallFaultError(f'"{name}" must be of type {kind.__name__}')
    return value
