"""Serves the preview page on this machine only, and notifies open pages when a file has changed."""

import asyncio
import hashlib
import webbrowser
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlencode

from aiohttp import web

from notifier.errors import ConfigError
from notifier.operations.language import localized
from notifier.operations.preview.result import PreviewChoice, PreviewSource, RenderedPreview
from notifier.sandbox.control.server import PAGE_FOLDER, PAGE_HEADERS, static_routes

HOST = "127.0.0.1"
LOCAL_NAMES = frozenset({HOST, "localhost"})
POLL_SECONDS = 0.2
"""How often the watched files are compared while a page is open."""

_SOURCE: web.AppKey[PreviewSource] = web.AppKey("source", PreviewSource)
_IS_WATCHING: web.AppKey[bool] = web.AppKey("is_watching", bool)
_LAST_GOOD: web.AppKey[dict[PreviewChoice, RenderedPreview]] = web.AppKey("last_good", dict)


def serve_preview(
    source: PreviewSource,
    choice: PreviewChoice,
    *,
    port: int,
    is_watching: bool,
    open_browser: bool,
    echo: Callable[[str], None],
) -> None:
    """Serve the page until Ctrl-C. choice: what the printed address shows. port: 0 for any free port.

    Raises ConfigError if the port is in use, or if the choice does not exist.
    """

    async def serve() -> None:
        async with serving_preview(source, port=port, is_watching=is_watching) as address:
            shown = f"{address}{describe_choice(choice)}"
            echo(
                localized(
                    f"{title}: {shown} (press Ctrl-C to stop; nothing is sent)",
                    f"{title}：{shown}（按 Ctrl-C 停止；不会发送）",
                )
            )
            if open_browser:
                webbrowser.open(shown)
            await asyncio.Event().wait()

    title = source.render(choice).title
    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        echo("")


def describe_choice(choice: PreviewChoice, **more: str) -> str:
    """Return a choice as the query of an address; "" for the defaults. more: further parameters."""
    values = {"template": choice.template, "sample": choice.sample, "audience": choice.audience, **more}
    query = urlencode({name: value for name, value in values.items() if value})
    return f"?{query}" if query else ""


@asynccontextmanager
async def serving_preview(
    source: PreviewSource, *, port: int = 0, is_watching: bool = False
) -> AsyncIterator[str]:
    """Serve while the block runs. Yields the address. Raises ConfigError if the port is in use."""
    app = web.Application(middlewares=[_only_local_names])
    app[_SOURCE], app[_IS_WATCHING], app[_LAST_GOOD] = source, is_watching, {}
    app.add_routes(
        [
            web.get("/", _send_index),
            web.get("/preview/card.json", _send_card),
            web.get("/preview/changes", _send_changes),
            *static_routes(),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
    except OSError as error:
        await runner.cleanup()
        raise ConfigError(
            f"--port: cannot listen on {port}: {error.strerror}. Try --port 0.",
            zh=f"--port：无法监听 {port}（{error.strerror}）。可试 --port 0。",
        ) from error
    try:
        yield f"http://{HOST}:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@web.middleware
async def _only_local_names(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse requests that a page elsewhere sends here through a name of its own."""
    if request.url.host not in LOCAL_NAMES:
        raise web.HTTPForbidden(text="This page is for this machine only.")
    return await handler(request)


async def _send_index(_request: web.Request) -> web.StreamResponse:
    return web.FileResponse(PAGE_FOLDER / "preview.html", headers=PAGE_HEADERS)


async def _send_card(request: web.Request) -> web.StreamResponse:
    """The chosen card. If its template is broken: the error, with the last good card."""
    source, last_good = request.app[_SOURCE], request.app[_LAST_GOOD]
    choice = PreviewChoice.read(request.query)
    version = _fingerprint(source)  # before the render, so that a later change is not missed
    try:
        rendered = source.render(choice)
    except ConfigError as error:
        return web.json_response(
            {"message": str(error), "message_zh": error.zh}, status=404, headers=PAGE_HEADERS
        )
    if rendered.error is None:
        last_good[choice] = rendered
    elif choice in last_good:
        rendered = rendered.keep(last_good[choice])
    body = {
        **rendered.as_json(),
        "choices": source.list_choices(),
        "is_watching": request.app[_IS_WATCHING],
        "version": version,
    }
    return web.json_response(body, headers=PAGE_HEADERS)


async def _send_changes(request: web.Request) -> web.StreamResponse:
    """Server-sent events: one message for each change of a watched file after the version `since` of the page."""
    response = web.StreamResponse(headers={**PAGE_HEADERS, "Content-Type": "text/event-stream"})
    await response.prepare(request)
    source = request.app[_SOURCE]
    known = request.query.get("since", "")
    with suppress(ConnectionError):
        await response.write(b": watching\n\n")
        while request.transport is not None and not request.transport.is_closing():
            now = _fingerprint(source)
            if now != known:
                known = now
                await response.write(b"event: change\ndata: 1\n\n")
            await asyncio.sleep(POLL_SECONDS)
    return response


def _fingerprint(source: PreviewSource) -> str:
    """Return a text that differs after a file was saved, replaced, added or removed."""
    found = []
    for path in source.list_watched_files():
        with suppress(OSError):
            status = path.stat()
            found.append((str(path), status.st_mtime_ns, status.st_size, status.st_ino))
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16]
