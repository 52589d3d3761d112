"""The HTTP and WebSocket server of the sandbox, on a loopback address."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path

from aiohttp import web

from notifier.sandbox import payroll
from notifier.sandbox.control.app_routing import SANDBOX, AppRoutes
from notifier.sandbox.control.middleware import add_log_id_header, build_middlewares
from notifier.sandbox.control.routes import API, refuse_unknown_route
from notifier.sandbox.control.table.all_routes import list_routes
from notifier.sandbox.control.tls import build_tls_context
from notifier.sandbox.push import long_connection
from notifier.sandbox.sandbox import Sandbox
from notifier.sandbox.saved_state import StateFile, copy_state
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.world.world import World

PAGE_FOLDER = Path(__file__).resolve().parents[1] / "page"
CHART_FOLDER = PAGE_FOLDER / "vchart"
PAGE_HEADERS = {"Cache-Control": "no-store", "Content-Security-Policy": "frame-ancestors 'none'"}
MAX_BODY_BYTES = 40 * 1024 * 1024
"""Above Feishu's limit of 30 MB for a file, so that a larger file gets Feishu's own error code."""


def build_app(world: World) -> web.Application:
    """The aiohttp application with all routes of the sandbox."""
    app = web.Application(middlewares=build_middlewares(world), client_max_size=MAX_BODY_BYTES)
    app.on_response_prepare.append(add_log_id_header)

    async def add_date_header(request: web.Request, response: web.StreamResponse) -> None:
        sandbox = request.get(SANDBOX) or world.first
        fault = sandbox.tenant.console.find_fault("setup:wrong_clock")
        ahead = fault["seconds"] if fault else 0
        response.headers["Date"] = formatdate(sandbox.tenant.clock.now() + ahead, usegmt=True)

    app.on_response_prepare.append(add_date_header)
    app.add_routes([*static_routes(), web.get("/", page_file)])
    app.add_routes(AppRoutes(world, lambda sandbox: app_routes(sandbox, world)).routes())
    app.router.add_route("*", API + "/{rest:.*}", refuse_unknown_route)
    return app


def app_routes(sandbox: Sandbox, world: World) -> list[web.RouteDef]:
    """The routes of one app. All apps have the same; AppRoutes calls those of the app of a request."""
    return [
        *(route for api in sandbox.apis() for route in sandbox.gateway.routes(api)),
        web.post("/callback/ws/endpoint", sandbox.connection.discover),
        web.get(long_connection.PATH, sandbox.connection.connect),
        web.post(payroll.PATH, sandbox.payroll.receive),
        *(route.to_aiohttp() for route in list_routes(sandbox, world)),
        *(
            web.route("*", prefix + "/{rest:.*}", sandbox.gateway.refuse_unknown)
            for prefix in ("/open-apis", "/callback")
        ),
    ]


def static_routes() -> list[web.RouteDef]:
    """The routes of the page's own files, and of the chart library that it loads."""
    return [
        web.get("/static/{name}", page_file),
        web.get(f"/static/{CHART_FOLDER.name}/{{name}}", chart_file),
    ]


async def page_file(request: web.Request) -> web.StreamResponse:
    """A file of the page. The name is one path segment, so no file outside the folder is reachable."""
    return _file_in(PAGE_FOLDER, request.match_info.get("name", "index.html"), PAGE_HEADERS)


async def chart_file(request: web.Request) -> web.StreamResponse:
    """A file of the chart library, which the browser may keep and revalidate."""
    return _file_in(CHART_FOLDER, request.match_info["name"], {**PAGE_HEADERS, "Cache-Control": "no-cache"})


def _file_in(folder: Path, name: str, headers: Mapping[str, str]) -> web.StreamResponse:
    path = folder / name
    if path.parent != folder or not path.is_file():
        return web.json_response({"error": f"there is no file {path.name!r}"}, status=404)
    return web.FileResponse(path, headers=headers)


@asynccontextmanager
async def serving(settings: SandboxSettings) -> AsyncIterator[tuple[World, str]]:
    """Serves while the block runs. Yields all apps and the URL.

    Raises OSError when the port is not available, BadPayoutError and BadWebhookError for a wrong setting,
    BadStateFileError for a state file that cannot be read, BadWorldError for a wrong world file,
    TlsUnavailableError without the extra for https.
    """
    world = World(settings)
    state_file = StateFile(Path(settings.state_file), world) if settings.state_file else None
    if settings.world_file:
        _read_world(world, Path(settings.world_file))
    world.start_state = copy_state(world)
    restored = state_file is not None and state_file.restore()
    runner = web.AppRunner(build_app(world), access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    tls = build_tls_context(Path(settings.ca_file)) if settings.ca_file else None
    site = web.TCPSite(runner, settings.host, settings.port, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    opening_events: list[str] = []
    if settings.opening_events and not restored:
        opening_events = world.first.push_opening_balances()
    if not opening_events:
        await world.first.start_setup_faults(opening_events)
    if state_file is not None:
        state_file.save()
    world.start()
    running = [state_file.run()] if state_file else []
    if opening_events:
        running.append(world.first.start_setup_faults(opening_events))
    background = asyncio.gather(*running)
    try:
        yield world, f"{'https' if tls else 'http'}://{settings.host}:{port}"
    finally:
        background.cancel()
        await world.stop()
        await asyncio.gather(background, return_exceptions=True)
        await runner.cleanup()
        if state_file is not None:
            state_file.save()


def _read_world(world: World, path: Path) -> None:
    """Imported here, because the checks of a world file take a part of the time to start."""
    from notifier.sandbox.world.contents import apply_world  # noqa: PLC0415 - see above
    from notifier.sandbox.world.world_file import read_world_file  # noqa: PLC0415 - see above

    apply_world(world, read_world_file(path))


async def serve(
    settings: SandboxSettings,
    ready: Callable[[str], None],
    faults_started: Callable[[], None] = lambda: None,
) -> None:
    """Serves until the task is cancelled.

    ready: called once with the URL. faults_started: called once all faults of the settings run.
    """
    async with serving(settings) as (world, url):
        ready(url)
        await world.first.has_started_faults.wait()
        faults_started()
        await asyncio.Event().wait()
