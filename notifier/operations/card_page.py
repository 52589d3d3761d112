"""Card page: shows one card in the browser with the sandbox's renderer. It listens on the local machine only."""

import asyncio
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from notifier.errors import ConfigError
from notifier.sandbox.control.server import PAGE_FOLDER, static_routes

HOST = "127.0.0.1"


def serve_card_page(
    card: Mapping[str, Any],
    *,
    title: str,
    people: Sequence[Mapping[str, str]],
    port: int,
    open_browser: bool,
    echo: Callable[[str], None],
) -> None:
    """Serve the page until Ctrl-C. people: open_id, name and en_name of the persons on the card.

    Raises ConfigError if the port is in use.
    """
    page = {"title": title, "card": card, "people": list(people)}
    try:
        asyncio.run(_serve(page, port, open_browser=open_browser, echo=echo))
    except KeyboardInterrupt:
        echo("")


async def _serve(
    page: Mapping[str, Any], port: int, *, open_browser: bool, echo: Callable[[str], None]
) -> None:
    async def as_json(_request: web.Request) -> web.Response:
        return web.json_response(page)

    async def index(_request: web.Request) -> web.StreamResponse:
        return web.FileResponse(PAGE_FOLDER / "preview.html")

    app = web.Application()
    app.add_routes(
        [
            web.get("/", index),
            web.get("/card.json", as_json),
            *static_routes(),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
    except OSError as error:
        await runner.cleanup()
        raise ConfigError(f"--port: cannot listen on {port}: {error.strerror}. Try --port 0.") from error
    address = f"http://{HOST}:{runner.addresses[0][1]}/"
    echo(f"{page['title']}: {address} (press Ctrl-C to stop; nothing is sent)")
    if open_browser:
        webbrowser.open(address)
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
