"""The table of `make torture`: zeros where zeros belong, and nothing passes in silence."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from support import figures
from torture import run_all, soak
from torture.run_all import LongTest

GOOD: run_all.Line = {"test": "sweep", "counted": {"kills": 1000}, "zeros": {"lost": 0}, "seconds": 3.5}


def test_what_a_test_keeps_is_a_line_of_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "figures.jsonl"
    monkeypatch.setenv(figures.FIGURES_FILE, str(file))

    figures.write_figures("sweep", counted={"kills": 1000}, zeros={"lost": 0}, seconds=3.5)

    assert [GOOD] == run_all.lines_of(file)


def test_the_table_shows_every_figure_under_its_test() -> None:
    shown = run_all.table([GOOD, {**GOOD, "test": "soak"}])

    assert [
        ["sweep", "kills", "1,000"],
        ["seconds", "3.5"],
        ["lost", "0"],
        ["soak", "kills", "1,000"],
        ["seconds", "3.5"],
        ["lost", "0"],
    ] == [row.split() for row in shown.splitlines()]
    assert run_all.all_zero([GOOD])


def test_a_figure_that_should_be_zero_and_is_not_stands_out_and_fails() -> None:
    bad = {**GOOD, "zeros": {"lost": 2}}

    assert ["lost", "2", "NOT", "ZERO"] == run_all.table([GOOD, bad]).splitlines()[-1].split()
    assert not run_all.all_zero([GOOD, bad])


@pytest.mark.parametrize("code, failed", [("pass", 0), ("raise SystemExit(1)", 1)])
def test_a_test_that_leaves_no_figures_is_a_row_that_fails(tmp_path: Path, code: str, failed: int) -> None:
    [line] = run_all.run(LongTest(name="mute", arguments=("-c", code)), tmp_path / "figures.jsonl")

    assert {"failed": failed, "without figures": 1} == line["zeros"]
    assert not run_all.all_zero([line])


def test_one_that_runs_beside_the_others_does_so_and_has_its_place_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """They meet at a pipe, which either opens only once the other does."""
    keep = (
        "from support.figures import write_figures; "
        'write_figures("{0}", counted={{}}, zeros={{"lost": 0}}, seconds=0)'
    )
    wait, mark, name = "open({file!r}).read()\n", "open({file!r}, 'w').close()\n", str(tmp_path / "pipe")
    os.mkfifo(name)
    tests = (
        LongTest(
            name="long", arguments=("-c", wait.format(file=name) + keep.format("long")), runs_in_parallel=True
        ),
        LongTest(name="short", arguments=("-c", mark.format(file=name) + keep.format("short"))),
    )
    monkeypatch.setattr(run_all, "LONG_TESTS", tests)

    assert 0 == run_all.main([])
    assert ["long", "short"] == [
        row.split()[0] for row in capfd.readouterr().out.splitlines() if "seconds" in row
    ]


def test_every_long_test_that_is_named_is_there() -> None:
    files = [word for test in run_all.LONG_TESTS for word in test.arguments if word.endswith(".py")]

    assert len(run_all.LONG_TESTS) == len(files)
    assert [] == [file for file in files if not (run_all.ROOT / file).exists()]


def samples(figures: Mapping[str, Callable[[int], float]], how_many: int = 360) -> list[soak.Sample]:
    """Of a soak in which everything stands still but these figures, told by the sample's number; an hour of it."""
    still = dict.fromkeys(soak.Sample.__dataclass_fields__, 10.0)
    return [
        soak.Sample(**{**still, "at": number * 10.0, **{name: of(number) for name, of in figures.items()}})  # type: ignore[arg-type]
        for number in range(how_many)
    ]


def test_a_soak_in_which_nothing_grows_is_good() -> None:
    assert 0 == soak.assess_growth(samples({"rss_mb": lambda number: 245 + number % 3}))[1]


@pytest.mark.parametrize(
    "name, of",
    [
        ("rss_mb", lambda number: 245 + number / 10),
        ("files", lambda number: 20 + number // 30),
        ("threads", lambda number: 10 + number // 30),
        ("tasks", lambda number: 30 + number // 12),
        ("oldest_seconds", float),
        ("inbox_new", lambda number: 2 * number),
    ],
)
def test_a_soak_in_which_one_figure_grows_says_so(name: str, of: Callable[[int], float]) -> None:
    lines, bad = soak.assess_growth(samples({name: of}))

    assert 1 == bad
    assert 1 == sum("GROWS" in line for line in lines)


def test_a_soak_of_a_minute_says_nothing_about_growth() -> None:
    lines, bad = soak.assess_growth(samples({"files": lambda number: 20 + 5 * number}, how_many=6))

    assert 0 == bad
    assert 1 == sum("too short a run to tell" in line for line in lines)
