"""Writes a picture of a previewed card."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from notifier.errors import ConfigError
from notifier.operations.preview.chromium import find_chromium, take_picture
from notifier.operations.preview.result import PreviewChoice, PreviewSource
from notifier.operations.preview.server import describe_choice, serving_preview

WIDTHS = {"desktop": 632, "phone": 392}
"""In CSS pixels: the card, with a margin of 16 on each side. A picture has two pixels for each."""
_READY = (
    'document.body?.dataset.ready === "true" && ![...document.querySelectorAll('
    '".c-chart-canvas:not([data-drawn],[data-failed])")].some((box) => box.offsetWidth > 20)'
)
"""The page has its card, and every visible chart is drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureStyle:
    """How a card is pictured."""

    is_dark: bool = False
    is_phone: bool = False
    language: str = "zh"
    """`zh` or `en`."""


def write_picture(source: PreviewSource, choice: PreviewChoice, style: PictureStyle, file: Path) -> int:
    """Write a PNG of the card. Returns its size in bytes.

    Raises ConfigError without Chromium or if the file cannot be written, PictureFailed if Chromium does not work.
    """
    find_chromium()
    content = asyncio.run(_take(source, choice, style))
    try:
        file.write_bytes(content)
    except OSError as error:
        raise ConfigError(
            f"--png: {file} cannot be written: {error.strerror}.",
            zh=f"--png：无法写入 {file}：{error.strerror}。",
        ) from error
    return len(content)


async def _take(source: PreviewSource, choice: PreviewChoice, style: PictureStyle) -> bytes:
    shape = "phone" if style.is_phone else "desktop"
    theme = "dark" if style.is_dark else "light"
    async with serving_preview(source) as address:
        query = describe_choice(choice, picture=shape, theme=theme, language=style.language)
        return await take_picture(address + query, width=WIDTHS[shape], ready=_READY)
