"""Faults of single calls: rules that match calls of the platform, and what they do to them."""

import asyncio
import fnmatch
import itertools
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from aiohttp import web

from notifier.sandbox.error_codes import CODE, LOG_ID, JsonObject
from notifier.sandbox.tenant import Tenant

Answer = Callable[[], Awaitable[web.StreamResponse]]
_T = TypeVar("_T")
_FIELDS = "match receive_id times action http_status status code msg headers body seconds"
FIELDS = frozenset(_FIELDS.split())
ACTIONS = ("code", "http", "hang", "reset", "reset_after", "hang_after", "truncate", "delay")
POLL_SECONDS = 0.1


class BadCallFaultError(ValueError):
    """An invalid rule. The text is shown to the caller."""


@dataclass(slots=True, kw_only=True)
class CallFault:
    """One rule.

    Actions: `code` answers JSON with a code, `http` any status and text, `delay` answers late. `hang` and `reset` do
    not execute the call. `hang_after`, `reset_after` and `truncate` execute it, but the answer is lost.
    """

    fault_id: str  # id to remove the rule
    method: str  # HTTP method, * for any
    path: str  # a prefix or a glob
    action: str  # one of ACTIONS
    receive_id: str | None = None  # matches only messages to this recipient
    times: int | None = None  # remaining hits, None for no limit
    http_status: int = 400  # of the answer, for `code` and `http`
    code: int = 0  # of the JSON answer, for `code`
    msg: str = "fault on demand"  # of the JSON answer, for `code`
    body: str = ""  # of the answer, for `http`
    headers: Mapping[str, str] = field(default_factory=dict)  # added to the answer
    seconds: float = 3600  # duration of `hang`, `hang_after` and `delay`
    hits: int = 0  # calls so far

    def to_json(self) -> JsonObject:
        """All fields as JSON, with method and path as `match`."""
        shown = {name: getattr(self, name) for name in self.__slots__ if name not in ("method", "path")}
        return {**shown, "match": f"{self.method} {self.path}", "headers": dict(self.headers)}

    def matches_call(self, method: str, path: str, receive_id: str | None) -> bool:
        """Whether the rule applies to this call."""
        return (
            self.times != 0
            and self.method in ("*", method)
            and (path.startswith(self.path) or fnmatch.fnmatchcase(path, self.path))
            and (self.receive_id is None or self.receive_id == receive_id)
        )


class CallFaults:
    """The active rules, oldest first. The first rule that matches a call applies."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._numbers = itertools.count(1)
        self.rules: list[CallFault] = []

    def add(self, rule: JsonObject) -> CallFault:
        """Adds a rule, see `parse_call_fault`. Raises BadCallFaultError."""
        fault = parse_call_fault(rule, fault_id=f"call-fault-{next(self._numbers)}")
        self.rules.append(fault)
        self._tenant.bump_revision()
        return fault

    def clear(self, fault_id: str | None = None) -> None:
        """Removes one rule, or all."""
        self.rules = [fault for fault in self.rules if fault_id is not None and fault.fault_id != fault_id]
        self._tenant.bump_revision()

    def claim(self, method: str, path: str, receive_id: str | None) -> CallFault | None:
        """The rule for this call, None without one. Counts the hit."""
        for fault in self.rules:
            if fault.matches_call(method, path, receive_id):
                fault.hits += 1
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    async def apply(self, fault: CallFault, request: web.Request, answer: Answer) -> web.StreamResponse:
        """Applies a rule. answer: executes the call without a fault."""
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
    """Ends the TCP connection with a reset, so that the caller gets an error instead of an end of file."""
    if request.transport is None:
        return
    sock = request.transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()


def is_disconnected(request: web.Request) -> bool:
    """Whether the caller closed its connection."""
    return request.transport is None or request.transport.is_closing()


async def wait_while(condition: Callable[[], bool], request: web.Request, tenant: Tenant) -> None:
    """Waits until the condition is false, the caller closes its connection, or the server stops."""
    while condition() and not is_disconnected(request) and not tenant.stopping.is_set():  # noqa: ASYNC110 - no event signals a closed connection
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
    """Parses a rule such as {"match": "POST /open-apis/im/v1/messages", "action": "reset", "times": 1}.

    Raises BadCallFaultError.
    """
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
