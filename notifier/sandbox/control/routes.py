"""The form of one route of the control API. Its HTTP handler and its OpenAPI description are made from it."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from notifier.sandbox.accounts import BadBalanceChangeError
from notifier.sandbox.api.chats.custom_bots import BadHookError
from notifier.sandbox.app_console import BadConsoleChangeError
from notifier.sandbox.chat.people import BadActionError, MissingTargetError
from notifier.sandbox.error_codes import JsonObject, parse_json
from notifier.sandbox.faults.call_faults import BadCallFaultError
from notifier.sandbox.faults.running import BadFaultError, UnknownFaultError
from notifier.sandbox.payroll import BadPayoutError
from notifier.sandbox.push.clicks import BadClickError
from notifier.sandbox.push.webhook import BadWebhookError
from notifier.sandbox.world.world import BadWorldError, NotInWorldError

API = "/api"
APP = "app"
"""The query parameter of each route that chooses the app."""
Schema = Mapping[str, Any]
"""A JSON schema, in the dialect of OpenAPI 3.1."""
ControlAnswer = JsonObject | web.StreamResponse
ControlHandler = Callable[[web.Request, JsonObject], ControlAnswer | Awaitable[ControlAnswer]]
"""Gets the request and its parsed JSON body, {} without one."""


class BadRequestError(ValueError):
    """An invalid request. The text is the error message of the answer."""


class NotFoundError(BadRequestError):
    """The request names something that does not exist; answered with 404."""


CLIENT_ERRORS = (
    BadRequestError,
    BadBalanceChangeError,
    BadClickError,
    BadCallFaultError,
    BadPayoutError,
    BadFaultError,
    BadWebhookError,
    BadConsoleChangeError,
    BadActionError,
    BadWorldError,
    BadHookError,
)
"""Errors that are answered with HTTP 400 and their text."""
NOT_FOUND_ERRORS = (NotFoundError, UnknownFaultError, MissingTargetError, NotInWorldError)
"""Errors that are answered with HTTP 404 and their text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRoute:
    """One route of the control API."""

    method: str  # HTTP method
    path: str  # under /api, with placeholders such as {chat_id}
    handle: ControlHandler  # does the work; raises one of CLIENT_ERRORS for invalid input
    group: str  # the section of the description
    summary: str  # one sentence: what it does
    answer: Schema  # of the JSON answer
    body: Schema | None = None  # of the JSON body; None for a route without one
    query: Mapping[str, Schema] = field(default_factory=dict)  # of the query parameters, by name
    example: JsonObject | None = None  # a body that can be sent as it is
    content_type: str = "application/json"  # of the answer
    reads_body: bool = False  # the handler reads the body, which may be no JSON

    @property
    def full_path(self) -> str:
        """The path from the root of the server."""
        return API + self.path

    def to_aiohttp(self) -> web.RouteDef:
        """The route for an aiohttp application."""
        return web.route(self.method, self.full_path, self._answer)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            _refuse_unknown("query parameter", request.query, {**self.query, APP: {}})
            result = self.handle(request, await self._read_body(request))
            answer = await result if isinstance(result, Awaitable) else result
        except NOT_FOUND_ERRORS as error:
            return error_response(str(error), status=404)
        except CLIENT_ERRORS as error:
            return error_response("; ".join(str(error).splitlines()), status=400)
        except RecursionError:
            return error_response("the body is nested too deeply", status=400)
        return web.json_response(answer) if isinstance(answer, dict) else answer

    async def _read_body(self, request: web.Request) -> JsonObject:
        if self.body is None or self.reads_body:
            return {}
        try:
            raw = await request.read()
            body = parse_json(raw) if raw else {}
        except ValueError as error:
            raise BadRequestError(f"the body is not valid JSON: {error}") from error
        if not isinstance(body, dict):
            raise BadRequestError("the body must be a JSON object")
        if self.body.get("additionalProperties") is False:
            _refuse_unknown("member", body, self.body["properties"])
        return body


def _refuse_unknown(kind: str, given: Collection[str], allowed: Collection[str]) -> None:
    unknown = [name for name in given if name not in allowed]
    if unknown:
        names = ", ".join(allowed) or "none"
        raise BadRequestError(f"there is no {kind} {unknown[0]!r:.100}; allowed: {names}")


async def refuse_unknown_route(request: web.Request) -> web.Response:
    """The answer for a path or a method that the control API does not have."""
    return error_response(
        f"there is no route {request.method} {request.path}; GET {API}/openapi.json lists all", status=404
    )


def error_response(message: str, *, status: int) -> web.Response:
    """The JSON answer for a refused request."""
    return web.json_response({"error": message}, status=status)


def read_seconds(name: str, value: object, *, maximum: float) -> float:
    """A number of seconds from 0 to `maximum`. Raises BadRequestError that names the member."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= maximum:
        raise BadRequestError(f'"{name}" must be a number from 0 to {maximum:g}')
    return float(value)
