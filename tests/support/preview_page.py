"""The preview page of this process, and one browser for the pages of a module."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from notifier.operations.preview.result import PreviewSource
from notifier.operations.preview.server import serving_preview
from support.browser import ARGUMENTS, find_browser

COUNT_PIXELS = """(box, [colour, left, right]) => {
  const canvas = box.querySelector("canvas");
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  let found = 0;
  for (let y = 0; y < height; y += 1)
    for (let x = Math.round(left * width); x < Math.round(right * width); x += 1) {
      const i = 4 * (y * width + x);
      if (data[i + 3] > 200 && colour.every((value, part) => Math.abs(value - data[i + part]) < 24)) found += 1;
    }
  return found / (width * height);
}"""
"""The share of the pixels of a chart that have a colour, between two parts of its width."""


@contextmanager
def serving(source: PreviewSource, *, is_watching: bool = True) -> Iterator[str]:
    """Serves in a thread. Yields the address of the page."""
    started: list[Any] = []
    ready = threading.Event()

    async def serve() -> None:
        stop = asyncio.Event()
        async with serving_preview(source, is_watching=is_watching) as address:
            started.extend((address, asyncio.get_running_loop(), stop))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(20)
    address, loop, stop = started
    try:
        yield address
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


@contextmanager
def running_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=list(ARGUMENTS))
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, url: str, *, locale: str = "zh-CN") -> Iterator[Page]:
    """Opens a page. Errors of the page, and refusals of its security policy, fail the test."""
    problems: list[str] = []
    page = browser.new_page(
        viewport={"width": 1500, "height": 1000}, timezone_id="Asia/Shanghai", locale=locale
    )
    page.set_default_timeout(15_000)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    page.goto(url)
    yield page
    page.close()
    assert [] == problems
