"""The dashboard: its expressions, its places, and the script that builds it."""

import json
import math
import re
import runpy
import struct
import zlib
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from support.deployed import (
    GRAFANA,
    RUNBOOK_URL,
    RUNBOOKS,
    SERIES,
    find_unknown_names,
    load_panels,
    run_promtool,
    sections_of,
)
from support.promql import TARGET_LABELS, read_names

ALL = load_panels()
PANELS = [panel for panel in ALL if panel["type"] != "row"]


def title_of(panel: dict[str, Any]) -> str:
    return panel["title"]


def test_the_dashboard_is_what_its_script_builds() -> None:
    built = runpy.run_path(str(GRAFANA / "build.py"))["render"]()

    assert built == (GRAFANA / "dashboard.json").read_text(encoding="utf-8"), (
        "run: python deploy/grafana/build.py"
    )


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    places = {panel["id"]: panel["gridPos"] for panel in ALL}

    assert len(ALL) == len(places)
    assert all(place["x"] + place["w"] <= 24 for place in places.values())
    assert [] == [
        (one, other)
        for (one, a), (other, b) in combinations(places.items(), 2)
        if a["x"] < b["x"] + b["w"]
        and b["x"] < a["x"] + a["w"]
        and a["y"] < b["y"] + b["h"]
        and b["y"] < a["y"] + a["h"]
    ]


def test_the_expressions_are_valid(tmp_path: Path) -> None:
    """Promtool checks expressions only in rules."""
    rules = [
        {"record": f"panel:{panel['id']}:{target['refId']}", "expr": target["expr"]}
        for panel in PANELS
        for target in panel["targets"]
    ]
    text = json.dumps({"groups": [{"name": "dashboard", "rules": rules}]})
    file = tmp_path / "rules.yaml"
    file.write_text(text.replace("$__rate_interval", "5m").replace("$job", "notifier"), encoding="utf-8")

    assert f"SUCCESS: {len(rules)} rules found" in run_promtool("check", "rules", file)


@pytest.mark.parametrize("panel", PANELS, ids=title_of)
def test_a_panel_uses_metrics_labels_and_values_that_exist(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        assert set() == find_unknown_names(target["expr"])
        names = read_names(target["expr"])
        legend = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        assert legend <= names.grouping | TARGET_LABELS.union(*(SERIES[metric] for metric in names.metrics))


@pytest.mark.parametrize("panel", PANELS, ids=title_of)
def test_a_panel_shows_the_chosen_job_only(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        assert all(conditions.get("job") == "$job" for _, conditions in read_names(target["expr"]).selectors)


@pytest.mark.parametrize("panel", PANELS, ids=title_of)
def test_a_panel_is_described_and_links_to_the_runbook(panel: dict[str, Any]) -> None:
    (link,) = panel["links"]
    page, _, anchor = link["url"].partition("#")

    assert panel["description"].endswith(".")
    assert page == RUNBOOK_URL
    assert anchor in sections_of(RUNBOOKS[0])


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {
        metric
        for panel in PANELS
        for target in panel["targets"]
        for metric in read_names(target["expr"]).metrics
    }
    own = {name for name in SERIES if name.startswith("notifier_")}

    assert set() == {_without_suffix(name) for name in own} - {_without_suffix(name) for name in shown}


def _without_suffix(name: str) -> str:
    return re.sub(r"_(bucket|count|sum)$", "", name)


class _FixedAnswers:
    """In place of a Prometheus: each query finds one series, with a gap in it."""

    start, end = 0.0, 600.0

    def read_lines(self, _: object) -> list[tuple[str, list[tuple[float, float]]]]:
        return [("a <line>", [(0.0, 1.0), (3.0, 2.5), (6.0, math.nan), (300.0, 3.0), (303.0, 4.0)])]

    def read_values(self, _: object) -> list[tuple[str, float]]:
        return [("a <value>", 1.0)]


def test_the_script_for_pictures_draws_every_panel() -> None:
    draw_page = runpy.run_path(str(GRAFANA / "picture.py"))["draw_page"]

    page, height = draw_page({"panels": ALL}, _FixedAnswers())

    assert [] == [
        panel["title"] for panel in ALL if f">{panel['title'].replace(chr(39), '&#x27;')}<" not in page
    ]
    graphs = [panel for panel in PANELS if panel["type"] == "timeseries"]
    assert page.count("<polyline") == 2 * sum(len(panel["targets"]) for panel in graphs), "the gap is a gap"
    assert "<line>" not in page
    assert height > 1000


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.mark.parametrize("row_filter", range(5), ids=["none", "sub", "up", "average", "paeth"])
def test_a_picture_with_few_colors_keeps_them(row_filter: int) -> None:
    """Each row of a PNG is stored as differences in one of five ways."""
    shrink = runpy.run_path(str(GRAFANA / "picture.py"))["shrink"]
    red, blue = b"\xff\x00\x00", b"\x00\x00\xff"
    differences = {  # of the rows "red blue" and "red red"
        0: (red + blue, red + red),
        1: (red + b"\x01\x00\xff", red + b"\x00\x00\x00"),
        2: (red + blue, b"\x00\x00\x00" + b"\xff\x00\x01"),
        3: (red + b"\x81\x00\xff", b"\x80\x00\x00" + b"\x80\x00\x81"),
        4: (red + b"\x01\x00\xff", b"\x00\x00\x00" + b"\xff\x00\x01"),
    }
    raw = b"".join(bytes([row_filter]) + row for row in differences[row_filter])
    header = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n"
    picture = signature + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(raw)) + _chunk(b"IEND", b"")

    smaller = shrink(picture)

    rows = b"\0\0\1" + b"\0\0\0"  # by the number of the color, the most frequent first
    assert _chunk(b"PLTE", red + blue) in smaller
    assert _chunk(b"IDAT", zlib.compress(rows, 9)) in smaller
    assert struct.pack(">IIBBBBB", 2, 2, 8, 3, 0, 0, 0) in smaller
