"""Draws dashboard.json with the data of a Prometheus, without Grafana, as a PNG.

`python deploy/grafana/picture.py --prometheus http://127.0.0.1:9090 --output dashboard.png`. It needs Chromium. The
picture has the panels of the dashboard at their places, with the results of their queries. Grafana's own look differs.
"""

import argparse
import html
import json
import math
import re
import shutil
import struct
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

Json = dict[str, Any]
Points = list[tuple[float, float]]
Lines = list[tuple[str, Points]]

DASHBOARD: Final = Path(__file__).with_name("dashboard.json")
COLUMN: Final = 50
"""Width of a column of the grid, in pixels."""
UNIT: Final = 27
"""Height of a row of the grid, in pixels."""
COLORS: Final = ("#3274d9", "#e0752d", "#299c46", "#a352cc", "#c4162a", "#1f9eb8", "#b5a400", "#6b7280")
BACKGROUNDS: Final = {"green": "#2b7a3d", "orange": "#c26a12", "red": "#b3202c"}
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_CHANNELS: Final = {2: 3, 6: 4}
"""Bytes of a pixel by the color type of a PNG: without and with transparency."""
STEPS: Final = 180
"""Points of a line."""
STYLE: Final = """
* { box-sizing: border-box; margin: 0; }
body { background: #f4f5f7; color: #24292e; font: 12px "DejaVu Sans", sans-serif; position: relative; }
section { position: absolute; padding: 3px; }
section > div { background: #fff; border: 1px solid #dfe2e6; border-radius: 3px; height: 100%; overflow: hidden; }
section > div { padding: 4px 8px; }
h2 { font-size: 15px; padding: 6px 4px 0; }
h3 { font-size: 12px; font-weight: 600; white-space: nowrap; }
.stat { color: #fff; display: flex; flex-direction: column; }
.values { align-items: center; display: flex; flex: 1; flex-wrap: wrap; font-size: 21px; gap: 0 26px; }
.values { justify-content: center; }
.stat h3 { font-size: 11.5px; letter-spacing: -0.3px; }
.values small { display: block; font-size: 11px; text-align: center; }
.legend { color: #444c56; font-size: 10px; height: 28px; line-height: 14px; overflow: hidden; }
.legend span { white-space: nowrap; }
.legend i { border-radius: 2px; display: inline-block; height: 8px; margin: 0 4px 0 10px; width: 8px; }
svg text { fill: #6a737d; font-size: 10px; }
"""


class Prometheus:
    """Runs queries. minutes: how far back lines go. job: the value of the variable."""

    def __init__(self, url: str, *, minutes: float, job: str, end: float | None = None) -> None:
        self._url = url
        self._job = job
        self.end = end or time.time()
        self.start = self.end - 60 * minutes
        self._step = (self.end - self.start) / STEPS

    def read_lines(self, target: Json) -> Lines:
        """Each series of a target with its legend and its points."""
        found = self._ask(
            "query_range", target["expr"], start=str(self.start), end=str(self.end), step=f"{self._step:.3f}"
        )
        return [
            (_fill_legend(target["legendFormat"], series["metric"]), _to_points(series["values"]))
            for series in found
        ]

    def read_values(self, target: Json) -> list[tuple[str, float]]:
        """Each series of a target with its legend and its value now."""
        found = self._ask("query", target["expr"], time=str(self.end))
        return [
            (_fill_legend(target["legendFormat"], series["metric"]), float(series["value"][1]))
            for series in found
        ]

    def _ask(self, call: str, expression: str, **options: str) -> list[Json]:
        text = expression.replace("$job", self._job).replace(
            "$__rate_interval", f"{max(10, 4 * self._step):.0f}s"
        )
        query = urllib.parse.urlencode({"query": text, **options})
        with urllib.request.urlopen(f"{self._url}/api/v1/{call}?{query}", timeout=30) as answer:  # noqa: S310
            return json.load(answer)["data"]["result"]


def _to_points(values: Sequence[tuple[float, str]]) -> Points:
    return [(at, float(value)) for at, value in values]


def _fill_legend(legend: str, labels: Json) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend)


def format_value(value: float, unit: str) -> str:
    """The value in its unit, short."""
    if math.isnan(value):
        return "not known"
    if unit == "s":
        size, name = next(
            (pair for pair in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")) if abs(value) >= pair[0]),
            (0.001, "ms"),
        )
        return "0 s" if abs(value) < 1e-4 else f"{value / size:.3g} {name}"
    if unit == "percentunit":
        return f"{100 * value:.3g}%"
    if unit == "bytes":
        return f"{value / 2**20:.3g} MiB"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def draw_stat(panel: Json, prometheus: Prometheus) -> str:
    """One number, or one for each series."""
    defaults = panel["fieldConfig"]["defaults"]
    names = {
        value: shown
        for mapping in defaults["mappings"]
        if mapping["type"] == "value"
        for value, shown in mapping["options"].items()
    }
    texts, colors = [], ["green"]
    for legend, value in [pair for target in panel["targets"] for pair in prometheus.read_values(target)]:
        mapped = names.get(f"{value:g}")
        reached = [
            step["color"]
            for step in defaults["thresholds"]["steps"]
            if step["value"] is None or value >= step["value"]
        ]
        by_value = "orange" if math.isnan(value) else (reached or ["green"])[-1]
        colors.append(mapped["color"] if mapped else by_value)
        shown = mapped["text"] if mapped else format_value(value, defaults["unit"])
        texts.append(f"<div>{html.escape(shown)}<small>{html.escape(legend)}</small></div>")
    color = next(name for name in ("red", "orange", "green") if name in colors)
    values = "".join(texts) or html.escape(defaults["noValue"])
    return (
        f'<div class="stat" style="background:{BACKGROUNDS[color]}"><h3>{html.escape(panel["title"])}</h3>'
        f'<div class="values">{values}</div></div>'
    )


def draw_graph(panel: Json, prometheus: Prometheus, width: int, height: int) -> str:
    """Lines over time with a legend."""
    defaults = panel["fieldConfig"]["defaults"]
    lines = sorted(line for target in panel["targets"] for line in prometheus.read_lines(target))
    if defaults["custom"]["stacking"]["mode"] == "normal":
        lines = _stack(lines)
    known = [value for _, points in lines for _, value in points if math.isfinite(value)]
    top = _round_up(max(known, default=0.0), defaults["unit"])
    left, right, base = 58, width - 8, height - 16

    def place(at: float, value: float) -> str:
        x = left + (right - left) * (at - prometheus.start) / (prometheus.end - prometheus.start)
        return f"{x:.1f},{base - (base - 6) * value / top:.1f}"

    drawn = []
    for part in range(5):
        y = base - (base - 6) * part / 4
        drawn.append(
            f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e5e7eb"/>'
            f'<text x="{left - 5}" y="{y + 3:.1f}" text-anchor="end">'
            f"{format_value(top * part / 4, defaults['unit'])}</text>"
        )
    for part in range(4):
        at = prometheus.start + (prometheus.end - prometheus.start) * (part + 0.5) / 4
        drawn.append(
            f'<text x="{place(at, 0).split(",")[0]}" y="{height - 3}" text-anchor="middle">'
            f"{time.strftime('%H:%M', time.gmtime(at))}</text>"
        )
    legend = []
    for number, (name, points) in enumerate(lines):
        color = COLORS[number % len(COLORS)]
        for piece in _pieces(points, 3 * (prometheus.end - prometheus.start) / STEPS):
            path = " ".join(place(at, value) for at, value in piece)
            drawn.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.4"/>')
        legend.append(f'<span><i style="background:{color}"></i>{html.escape(name)}</span> ')
    return (
        f"<div><h3>{html.escape(panel['title'])}</h3>"
        f'<svg width="{width}" height="{height}">{"".join(drawn)}</svg>'
        f'<div class="legend">{"".join(legend)}</div></div>'
    )


def _round_up(value: float, unit: str) -> float:
    """A round number for the top of the axis, in the unit that is shown."""
    if value <= 0:
        return 1.0
    size = next((size for size in (86400, 3600, 60, 1) if unit == "s" and value >= size), 1)
    size = 2**20 if unit == "bytes" else size
    power = 10.0 ** math.floor(math.log10(value / size))
    return next(step * power * size for step in (1, 2, 4, 6, 8, 10) if step * power * size >= value * 0.999)


def _stack(lines: Lines) -> Lines:
    """Each line on top of the ones before it."""
    total: dict[float, float] = {}
    stacked: Lines = []
    for name, points in lines:
        for at, value in points:
            total[at] = total.get(at, 0.0) + value
        stacked.append((name, [(at, total[at]) for at, _ in points]))
    return stacked


def _pieces(points: Points, longest_gap: float) -> list[Points]:
    """The points without those that are not known, in pieces without gaps."""
    pieces: list[Points] = []
    for at, value in points:
        if not math.isfinite(value):
            continue
        if not pieces or at - pieces[-1][-1][0] > longest_gap:
            pieces.append([])
        pieces[-1].append((at, value))
    return pieces


def draw_page(dashboard: Json, prometheus: Prometheus, rows: int | None = None) -> tuple[str, int]:
    """The page and its height in pixels. rows: draw only so many."""
    parts, bottom, seen = [], 0, 0
    for panel in dashboard["panels"]:
        seen += panel["type"] == "row"
        if rows is not None and seen > rows:
            break
        place = panel["gridPos"]
        width, height = place["w"] * COLUMN, place["h"] * UNIT
        bottom = max(bottom, place["y"] * UNIT + height)
        match panel["type"]:
            case "row":
                inner = f"<h2>{html.escape(panel['title'])}</h2>"
            case "stat":
                inner = draw_stat(panel, prometheus)
            case _:
                inner = draw_graph(panel, prometheus, width - 24, height - 60)
        style = f"left:{place['x'] * COLUMN}px;top:{place['y'] * UNIT}px;width:{width}px;height:{height}px"
        parts.append(f'<section style="{style}">{inner}</section>')
    return f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style><body>{"".join(parts)}</body>', bottom


def take_picture(page: str, height: int, output: Path) -> None:
    """Writes the page as a PNG."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        raise SystemExit("Chromium is not installed (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        file.write_text(page, encoding="utf-8")
        subprocess.run(  # noqa: S603 - found above
            [
                *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                *(f"--user-data-dir={folder}/profile", f"--window-size={24 * COLUMN},{height}"),
                *(f"--screenshot={output.resolve()}", file.as_uri()),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )


def draw(url: str, output: Path, *, minutes: float, job: str, rows: int | None) -> None:
    """Draws the dashboard with the data of the last minutes."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    page, height = draw_page(dashboard, Prometheus(url, minutes=minutes, job=job), rows)
    take_picture(page, height, output)
    output.write_bytes(shrink(output.read_bytes()))


def shrink(picture: bytes) -> bytes:
    """A PNG of Chromium with at most 256 colors: a third of the size. Rare colors become the nearest frequent one."""
    width, height, pixels = _read_png(picture)
    coarse = bytes(value & 0xF0 | value >> 4 for value in range(256))
    colors = list(zip(*(pixels[part::3].translate(coarse) for part in range(3)), strict=True))
    kept = [color for color, _ in Counter(colors).most_common(256)]
    index = {color: number for number, color in enumerate(kept)}
    for color in set(colors) - set(kept):
        index[color] = min(range(len(kept)), key=lambda number: math.dist(kept[number], color))
    found = bytes(index[color] for color in colors)
    rows = b"".join(b"\0" + found[line * width : (line + 1) * width] for line in range(height))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes(value for color in kept for value in color)),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def _read_png(picture: bytes) -> tuple[int, int, bytes]:
    """Width, height and the red, green and blue of each pixel."""
    place, header, packed = len(_SIGNATURE), b"", b""
    while place < len(picture):
        (size,) = struct.unpack(">I", picture[place : place + 4])
        name, data = picture[place + 4 : place + 8], picture[place + 8 : place + 8 + size]
        header, packed = (data if name == b"IHDR" else header), packed + (data if name == b"IDAT" else b"")
        place += size + 12
    width, height, depth, kind, _, _, interlace = struct.unpack(">IIBBBBB", header)
    if (depth, interlace) != (8, 0) or kind not in _CHANNELS:
        raise ValueError("not a PNG as Chromium writes it")
    channels = _CHANNELS[kind]
    raw, rows, above = zlib.decompress(packed), [], bytearray(width * channels)
    for line in range(height):
        start = line * (width * channels + 1)
        row = bytearray(raw[start + 1 : start + 1 + width * channels])
        above = _undo_filter(raw[start], row, above, channels)
        rows.append(above)
    everything = b"".join(rows)
    pixels = bytearray(3 * width * height)
    for part in range(3):
        pixels[part::3] = everything[part::channels]
    return width, height, bytes(pixels)


def _undo_filter(kind: int, row: bytearray, above: bytearray, channels: int) -> bytearray:
    """The bytes of a row; each was stored as the difference to its neighbours (PNG specification, section 9)."""
    for place in range(len(row)):
        left = row[place - channels] if place >= channels else 0
        up, corner = above[place], above[place - channels] if place >= channels else 0
        match kind:
            case 1:
                guess = left
            case 2:
                guess = up
            case 3:
                guess = (left + up) // 2
            case 4:
                near = left + up - corner
                guess = min((left, up, corner), key=lambda value: abs(near - value))
            case _:
                guess = 0
        row[place] = (row[place] + guess) & 0xFF
    return row


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090")
    parser.add_argument("--output", type=Path, default=Path("dashboard.png"))
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--job", default="notifier")
    parser.add_argument("--rows", type=int, help="draw only the first rows of panels")
    chosen = parser.parse_args()
    draw(chosen.prometheus, chosen.output, minutes=chosen.minutes, job=chosen.job, rows=chosen.rows)
