"""Which app a request belongs to, and the call of that app's handler."""

from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakKeyDictionary

from aiohttp import web
from aiohttp.typedefs import Middleware

from notifier.sandbox.api.chats import custom_bots
from notifier.sandbox.control.routes import APP
from notifier.sandbox.error_codes import read_json_object
from notifier.sandbox.push import long_connection
from notifier.sandbox.sandbox import Sandbox
from notifier.sandbox.world.world import UnknownAppError, World

RequestHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SANDBOX = web.RequestKey("SANDBOX", Sandbox)
"""The app of the request."""
APP_ID_FIELDS = ("app_id", "AppID", "client_id")
"""Members of a body, or query parameters, that name the app of a call without an access token."""
TOKEN_FIELDS = ("app_access_token",)
"""Members of a body that hold a token of the app."""


class AppRoutes:
    """The routes of the first app, of which each calls the handler of the app that the request belongs to.

    build: lists the routes of one app, the same ones for each app.
    """

    def __init__(self, world: World, build: Callable[[Sandbox], list[web.RouteDef]]) -> None:
        self._world = world
        self._build = build
        self._handlers: WeakKeyDictionary[Sandbox, dict[tuple[str, str], Any]] = WeakKeyDictionary()

    def routes(self) -> list[web.RouteDef]:
        """The routes for an aiohttp application."""
        return [
            web.route(route.method, route.path, self._dispatcher((route.method, route.path)), **route.kwargs)
            for route in self._build(self._world.first)
        ]

    def _dispatcher(self, key: tuple[str, str]) -> RequestHandler:
        async def dispatch(request: web.Request) -> web.StreamResponse:
            sandbox = request[SANDBOX]
            if sandbox not in self._handlers:
                self._handlers[sandbox] = {
                    (route.method, route.path): route.handler for route in self._build(sandbox)
                }
            answer: web.StreamResponse = await self._handlers[sandbox][key](request)
            return answer

        return dispatch


def choose_app(world: World) -> Middleware:
    """The middleware that finds the app: `?app=` for the sandbox's own API, what the client sends for the platform."""

    @web.middleware
    async def choose(request: web.Request, handler: RequestHandler) -> web.StreamResponse:
        if request.path.startswith("/api/"):
            try:
                request[SANDBOX] = world.sandbox(request.query.get(APP))
            except UnknownAppError as error:
                return web.json_response({"error": str(error)}, status=404)
        else:
            request[SANDBOX] = await _find_app(world, request)
        return await handler(request)

    return choose


async def _find_app(world: World, request: web.Request) -> Sandbox:
    """The app of a call: that of its token or ticket, or the one that its body or query names; else the first one."""
    if len(world.sandboxes) == 1:
        return world.first
    if request.path == long_connection.PATH:
        return world.find_by_ticket(request.query.get("ticket", "")) or world.first
    if request.path.startswith(custom_bots.PATH):
        hook = request.path.removeprefix(custom_bots.PATH).rstrip("/")
        return world.find_by_hook(hook) or world.first
    token = request.headers.get("Authorization", "").removeprefix("Bearer").strip()
    found = world.find_by_token(token) if token else None
    fields = {**request.query, **({} if found else await _read_fields(request))}
    for name in APP_ID_FIELDS:
        found = found or world.find(fields.get(name))
    for name in TOKEN_FIELDS:
        found = found or world.find_by_token(str(fields.get(name, "")))
    return found or world.first


async def _read_fields(request: web.Request) -> dict[str, object]:
    if request.content_type != "application/json" or not request.body_exists:
        return {}
    return await read_json_object(request)
