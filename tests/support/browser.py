"""Opens pages in Chromium."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, sync_playwright

from support.requirements import skip_or_fail

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_browser() -> str:
    """The path of Chromium. Without Chromium the test is skipped, or fails if NOTIFIER_TESTS_REQUIRE has `browser`."""
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))),
        None,
    )
    if found is not None:
        return found
    return skip_or_fail("browser", "Chromium is not installed (Debian: apt-get install chromium)")


@contextmanager
def open_page(
    url: str,
    *,
    width: int = 1440,
    height: int = 900,
    zone: str = "Asia/Shanghai",
    locale: str = "zh-CN",
) -> Iterator[Page]:
    """Opens a page in a new browser. Errors of the page fail the test. width, height: in pixels. locale: the
    language of the browser.
    """
    executable = find_browser()
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        page = browser.new_page(viewport={"width": width, "height": height}, timezone_id=zone, locale=locale)
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        yield page
        browser.close()
    assert [] == errors
