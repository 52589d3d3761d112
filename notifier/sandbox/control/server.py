"""The HTTP and WebSocket server of the sandbox, on a loopback address."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path

from aiohttp import web

from notifier.sandbox import payroll
from notifier.sandbox.control.middleware import add_log_id_header, build_middlewares
from notifier.sandbox.control.routes import API, refuse_unknown_route
from notifier.sandbox.control.table.all_routes import list_routes
from notifier.sandbox.push import long_connection
from notifier.sandbox.sandbox import Sandbox
from notifier.sandbox.saved_state import StateFile, copy_state
from notifier.sandbox.settings import SandboxSettings

PAGE_FOLDER = Path(__file__).resolve().parents[1] / "page"
CHART_FOLDER = PAGE_FOLDER / "vchart"
PAGE_HEADERS = {"Cache-Control": "no-store", "Content-Security-Policy": "frame-ancestors 'none'"}
MAX_BODY_BYTES = 40 * 1024 * 1024
"""Above Feishu's limit of 30 MB for a file, so that a larger file gets Feishu's own error code."""


def build_app(sandbox: Sandbox) -> web.Application:
    """The aiohttp application with all routes of the sandbox."""
    app = web.Application(middlewares=build_middlewares(sandbox), client_max_size=MAX_BODY_BYTES)
    app.on_response_prepare.append(add_log_id_header)

    async def add_date_header(_request: web.Request, response: web.StreamResponse) -> None:
        fault = sandbox.tenant.console.find_fault("setup:wrong_clock")
        ahead = fault["seconds"] if fault else 0
        response.headers["Date"] = formatdate(sandbox.tenant.clock.now() + ahead, usegmt=True)

    app.on_response_prepare.append(add_date_header)
    app.add_routes([sandbox.gateway.route(api) for api in sandbox.apis()])
    app.add_routes(
        [
            web.post("/callback/ws/endpoint", sandbox.connection.discover),
            web.get(long_connection.PATH, sandbox.connection.connect),
            web.post("/open-apis/auth/v3/tenant_access_token/internal", sandbox.gateway.issue_token),
            web.post("/open-apis/auth/v3/tenant_access_token/internal/", sandbox.gateway.issue_token),
            web.post(payroll.PATH, sandbox.payroll.receive),
            *static_routes(),
            web.get("/", page_file),
        ]
    )
    app.add_routes([route.to_aiohttp() for route in list_routes(sandbox)])
    app.router.add_route("*", API + "/{rest:.*}", refuse_unknown_route)
    for prefix in ("/open-apis", "/callback"):
        app.router.add_route("*", prefix + "/{rest:.*}", sandbox.gateway.refuse_unknown)
    return app


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
async def serving(settings: SandboxSettings) -> AsyncIterator[tuple[Sandbox, str]]:
    """Serves while the block runs. Yields the sandbox and its URL.

    Raises OSError when the port is not available, BadPayoutError and BadWebhookError for a wrong setting,
    BadStateFileError for a state file that cannot be read.
    """
    sandbox = Sandbox(settings)
    sandbox.start_state = copy_state(sandbox)
    state_file = StateFile(Path(settings.state_file), sandbox) if settings.state_file else None
    restored = state_file is not None and state_file.restore()
    runner = web.AppRunner(build_app(sandbox), access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, settings.host, settings.port)
    await site.start()
    port = runner.addresses[0][1]
    opening_events: list[str] = []
    if settings.opening_events and not restored:
        opening_events = sandbox.push_opening_balances()
    if not opening_events:
        await sandbox.start_setup_faults(opening_events)
    if state_file is not None:
        state_file.save()
    running = [sandbox.pusher.run(), sandbox.wait_for_webhook(), *([state_file.run()] if state_file else [])]
    if opening_events:
        running.append(sandbox.start_setup_faults(opening_events))
    pushing = asyncio.gather(*running)
    try:
        yield sandbox, f"http://{settings.host}:{port}"
    finally:
        sandbox.tenant.stopping.set()
        sandbox.tenant.bump_revision()  # waiting reads end
        sandbox.connection.disconnect_all()
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)
        await runner.cleanup()
        if state_file is not None:
            state_file.save()


async def serve(
    settings: SandboxSettings,
    ready: Callable[[str], None],
    faults_started: Callable[[], None] = lambda: None,
) -> None:
    """Serves until the task is cancelled.

    ready: called once with the URL. faults_started: called once all faults of the settings run.
    """
    async with serving(settings) as (sandbox, url):
        ready(url)
        await sandbox.has_started_faults.wait()
        faults_started()
        await asyncio.Event().wait()
