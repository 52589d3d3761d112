"""Takes a picture of a page with Chromium, over its debugging protocol."""

import asyncio
import base64
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp

from notifier.errors import ConfigError, NotifierError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
BROWSER_VARIABLE = "CHROMIUM"
"""Environment variable with the path of a browser that is not on the PATH."""
START_SECONDS = 30.0
READY_SECONDS = 20.0
POLL_SECONDS = 0.05
_ADDRESS = re.compile(rb"DevTools listening on (ws://\S+)")
_WAIT = """new Promise((resolve) => {
  const look = () => (READY) ? resolve(true) : setTimeout(look, 20);
  look();
})"""
_ARGUMENTS = (
    *("--headless", "--disable-gpu", "--no-first-run", "--disable-extensions", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--mute-audio"),
    "--remote-debugging-port=0",
)


class PictureFailed(NotifierError):
    """Chromium did not take a picture. The message contains the reason."""


def find_chromium() -> str:
    """Return the path of Chromium or Chrome. Raises ConfigError with a remedy if there is none."""
    named = os.environ.get(BROWSER_VARIABLE)
    found = next((path for name in ([named] if named else NAMES) if (path := shutil.which(name))), None)
    if found is None:
        missing = named or "Chromium"
        raise ConfigError(
            f"--png: {missing} was not found. Install Chromium (Debian: apt install chromium fonts-noto-cjk) or "
            f"Chrome, or set {BROWSER_VARIABLE} to the path of the program. The page needs none of them.",
            zh=f"--png：没有找到 {missing}。请安装 Chromium（Debian：apt install chromium fonts-noto-cjk）或 Chrome，"
            f"或用 {BROWSER_VARIABLE} 指定程序路径。预览网页不需要它们。",
        )
    return found


async def take_picture(address: str, *, width: int, ready: str, scale: int = 2) -> bytes:
    """Return a PNG of the whole page.

    width: of the page, in CSS pixels. ready: a JavaScript expression that becomes true. scale: pixels per CSS pixel.
    Raises ConfigError without a browser, PictureFailed if it does not work.
    """
    try:
        async with (
            _browser() as target,
            aiohttp.ClientSession() as session,
            session.ws_connect(target, max_msg_size=0) as socket,
        ):
            page = _DevTools(socket)
            return await _photograph(page, address, width=width, ready=ready, scale=scale)
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        reason = str(error) or "no answer in time"
        raise PictureFailed(
            f"--png: Chromium took no picture: {reason}.", zh=f"--png：Chromium 没有生成图片：{reason}。"
        ) from error


async def _photograph(page: "_DevTools", address: str, *, width: int, ready: str, scale: int) -> bytes:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": scale, "mobile": False}
    await page.call("Emulation.setDeviceMetricsOverride", metrics)
    await page.call("Page.navigate", {"url": address})
    await page.evaluate(_WAIT.replace("READY", ready))
    height = await page.evaluate("Math.ceil(document.body.getBoundingClientRect().height)")
    clip = {"x": 0, "y": 0, "width": width, "height": max(1, int(height)), "scale": 1}
    taken = await page.call(
        "Page.captureScreenshot", {"format": "png", "captureBeyondViewport": True, "clip": clip}
    )
    return base64.b64decode(taken["data"])


class _DevTools:
    """Calls methods of the debugging protocol, one after another."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0

    async def call(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        async with asyncio.timeout(READY_SECONDS):
            while True:
                message = await self._socket.receive_json()
                if message.get("id") == self._number:
                    break
        if "error" in message:
            raise PictureFailed(f"--png: {method}: {message['error'].get('message', '')}")
        return message.get("result", {})

    async def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - JSON
        """Return the value of an expression, or of its promise; None if it raises."""
        parameters = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        result = await self.call("Runtime.evaluate", parameters)
        return result.get("result", {}).get("value")


@asynccontextmanager
async def _browser() -> AsyncIterator[str]:
    """Run a headless browser with an empty profile. Yields the WebSocket address of its page."""
    program = find_chromium()
    # Chromium refuses to start its sandbox as root. It loads nothing here but our own page.
    rights = ("--no-sandbox",) if getattr(os, "geteuid", lambda: 1)() == 0 else ()
    with tempfile.TemporaryDirectory(prefix="notifier-preview-", ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            *(program, *_ARGUMENTS, *rights, f"--user-data-dir={profile}", "about:blank"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield await _find_page(process)
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await _wait(process)


async def _wait(process: asyncio.subprocess.Process) -> None:
    """Read what is left of the output, because a full pipe stops the browser. Kill it after 5 s."""
    try:
        async with asyncio.timeout(5):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _find_page(process: asyncio.subprocess.Process) -> str:
    output = process.stderr
    if output is None:
        raise PictureFailed("--png: Chromium has no output")
    last = b""
    async with asyncio.timeout(START_SECONDS):
        while line := await output.readline():
            last = line.strip() or last
            if found := _ADDRESS.search(line):
                return await _first_page(found[1].decode())
    raise PictureFailed(f"--png: Chromium did not start: {last.decode(errors='replace')[:300]}")


async def _first_page(browser: str) -> str:
    port = browser.removeprefix("ws://").partition("/")[0]
    async with aiohttp.ClientSession() as session, asyncio.timeout(START_SECONDS):
        while True:
            async with session.get(f"http://{port}/json/list") as answer:
                pages = await answer.json(content_type=None)
            for page in pages:
                if page.get("type") == "page":
                    return str(page["webSocketDebuggerUrl"])
            await asyncio.sleep(POLL_SECONDS)
