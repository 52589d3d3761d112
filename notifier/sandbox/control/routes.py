"""The form of one route of the control API. Its HTTP handler and its OpenAPI description are made from it."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from notifier.sandbox.accounts import BadBalanceChangeError
from notifier.sandbox.app_console import BadConsoleChangeError
from notifier.sandbox.chat.people import BadActionError, MissingTargetError
from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.faults.call_faults import BadCallFaultError
from notifier.sandbox.faults.running import BadFaultError, UnknownFaultError
from notifier.sandbox.payroll import BadPayoutError
from notifier.sandbox.push.clicks import BadClickError
from notifier.sandbox.push.webhook import BadWebhookError

API = "/api"
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
)
"""Errors that are answered with HTTP 400 and their text."""
NOT_FOUND_ERRORS = (NotFoundError, UnknownFaultError, MissingTargetError)
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

    @property
    def full_path(self) -> str:
        """The path from the root of the server."""
        return API + self.path

    def to_aiohttp(self) -> web.RouteDef:
        """The route for an aiohttp application."""
        return web.route(self.method, self.full_path, self._answer)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            result = self.handle(request, await self._read_body(request))
            answer = await result if isinstance(result, Awaitable) else result
        except NOT_FOUND_ERRORS as error:
            return error_response(str(error), status=404)
        except CLIENT_ERRORS as error:
            return error_response(str(error), status=400)
        except RecursionError:
            return error_response("the body is nested too deeply", status=400)
        return web.json_response(answer) if isinstance(answer, dict) else answer

    async def _read_body(self, request: web.Request) -> JsonObject:
        if self.body is None:
            return {}
        try:
            text = await request.text()
            body = json.loads(text) if text else {}
        except ValueError as error:
            raise BadRequestError("the body is not valid JSON") from error
        if not isinstance(body, dict):
            raise BadRequestError("the body must be a JSON object")
        return body


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
