"""The table of `make bench`: ratios, the comparison with the kept run, its files, and benchmarks that fail."""

import errno
import itertools
import json
import os
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bench import all as bench
from support import comparisons
from support.bench_run import (
    BEGIN,
    END,
    BenchRun,
    compare_runs,
    describe_change,
    describe_machine,
    find_duplicates,
    find_worse,
    page_table,
    read_run,
    replace_table,
    worsening,
    write_run,
)
from support.comparisons import Comparison, compare_latencies, make_table
from support.waiting import wait_until

ROOT = Path(__file__).parents[1]
LATENCY = Comparison(
    what="latency", against="a bare call", figure=60, pair=50, unit="ms", shows_difference=True
)
RATE = Comparison(
    what="rate", against="the SDK", figure=3_000, pair=1_000, is_higher_better=True, aim="≥ 2 ×"
)
IDLE = Comparison(what="idle", figure=0.5, unit="%")
MACHINE: dict[str, str | int] = {"cores": 2, "python": "3.11.1"}


def make_run(*found: Comparison, commit: str | None = "abc123", failed: tuple[str, ...] = ()) -> BenchRun:
    return BenchRun(commit=commit, machine=MACHINE, comparisons=found, failed=failed)


# one figure


@pytest.mark.parametrize(
    "comparison, expected",
    [
        (LATENCY, ["latency", "a bare call", "60.0 ms", "50.0 ms", "1.20 × (+10 ms)", ""]),
        (RATE, ["rate", "the SDK", "3,000", "1,000", "3.00 ×", "≥ 2 ×"]),
        (IDLE, ["idle", "–", "0.500 %", "–", "–", ""]),
        (
            replace(RATE, figure=1_234_567.8, pair=99.96, note="0 refused", pair_note="alone"),
            ["rate", "the SDK", "1,234,568 (0 refused)", "100 (alone)", "12,351 ×", "≥ 2 ×"],
        ),
        (
            replace(LATENCY, is_bound=True, shows_difference=False),
            ["latency", "a bare call", "> 60.0 ms", "50.0 ms", "> 1.20 ×", ""],
        ),
    ],
)
def test_a_figure_is_one_line_with_its_pair_ratio_and_aim(
    comparison: Comparison, expected: list[str]
) -> None:
    assert expected == comparison.cells()
    assert len(comparisons.HEADING) == len(expected)


@pytest.mark.parametrize("figure, pair", [(0.0, 5.0), (5.0, 0.0), (5.0, None)])
def test_without_two_figures_there_is_no_ratio(figure: float, pair: float | None) -> None:
    comparison = replace(RATE, figure=figure, pair=pair)

    assert comparison.ratio is None
    assert "–" == comparison.ratio_text


def test_latencies_are_two_figures() -> None:
    p50, p99 = compare_latencies("card", "call", range(1, 201), range(1, 101), ("+ 60 ms", "+ 100 ms"))

    assert ("card, p50", 100, 50, "+ 60 ms") == (p50.what, p50.figure, p50.pair, p50.aim)
    assert ("card, p99", 198, 99, "+ 100 ms") == (p99.what, p99.figure, p99.pair, p99.aim)


def test_several_benchmarks_write_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "comparisons.jsonl"
    monkeypatch.setenv(comparisons.COMPARISONS_FILE, str(file))

    comparisons.report([LATENCY])
    comparisons.report([RATE, IDLE])

    assert [LATENCY, RATE, IDLE] == comparisons.read_comparisons(file)
    assert "| latency | a bare call | 60.0 ms | 50.0 ms | 1.20 × (+10 ms) |  |" in capsys.readouterr().out


# beside the kept run


@pytest.mark.parametrize(
    "kept, current, factor, change",
    [
        (LATENCY, LATENCY, 1.0, ""),
        (LATENCY, replace(LATENCY, figure=74), 74 / 60, ""),
        (LATENCY, replace(LATENCY, figure=76), 76 / 60, "WORSE: 1.27 times"),
        (LATENCY, replace(LATENCY, figure=30), 0.5, ""),
        (LATENCY, replace(LATENCY, figure=600, pair=500), 1.0, ""),
        (LATENCY, replace(LATENCY, pair=25), 2.0, "WORSE: 2.00 times"),
        (LATENCY, replace(LATENCY, figure=76, noise=0.5), 76 / 60, ""),
        (RATE, replace(RATE, figure=2_450), 3_000 / 2_450, ""),
        (RATE, replace(RATE, figure=2_350), 3_000 / 2_350, "WORSE: 1.28 times"),
        (RATE, replace(RATE, figure=9_000), 1 / 3, ""),
        (RATE, replace(RATE, figure=0), None, "WORSE: no ratio"),
        (IDLE, replace(IDLE, figure=50), None, ""),
    ],
)
def test_a_ratio_that_is_worse_by_more_than_the_noise_is_marked(
    kept: Comparison, current: Comparison, factor: float | None, change: str
) -> None:
    assert pytest.approx(factor) == worsening(current, kept)
    assert change == describe_change(current, kept)
    assert (["latency"] if kept is LATENCY else ["rate"]) * bool(change) == find_worse(
        make_run(current), make_run(kept)
    )


def test_the_table_shows_the_kept_ratio_and_what_changed() -> None:
    kept = make_run(LATENCY, RATE, IDLE)
    current = make_run(replace(LATENCY, pair=25), replace(RATE, what="another rate"))

    assert compare_runs(current, kept).splitlines() == [
        "| what | against | figure | pair | ratio | aim | kept ratio | change |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        "| latency | a bare call | 60.0 ms | 25.0 ms | 2.40 × (+35 ms) |  | 1.20 × (+10 ms) | WORSE: 2.00 times |",
        "| another rate | the SDK | 3,000 | 1,000 | 3.00 × | ≥ 2 × | – | new |",
        "not measured:",
        "- rate",
        "- idle",
    ]
    assert "not measured" not in compare_runs(current, kept, lists_missing=False)


def test_without_a_kept_run_nothing_is_new_or_worse() -> None:
    table = compare_runs(make_run(LATENCY, RATE), None)

    assert 4 == len(table.splitlines())
    assert not re.search("new|WORSE", table)


def test_a_kept_run_of_another_machine_is_named() -> None:
    other = replace(make_run(LATENCY), machine={"cores": 64})

    assert "another machine: cores 64. Now: cores 2, python 3.11.1." in compare_runs(make_run(LATENCY), other)
    fewer_facts = replace(make_run(LATENCY), machine={"cores": 2})
    assert "another machine" not in compare_runs(make_run(LATENCY), fewer_facts)


# the files


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    run = make_run(replace(LATENCY, note="ä", is_bound=True), RATE, IDLE, failed=("burst",))
    path = tmp_path / "folder" / "run.json"
    write_run(run, path)

    written = json.loads(path.read_text(encoding="utf-8"))
    read = read_run(path)

    assert [1.2, 3.0, None] == [figure["ratio"] for figure in written["figures"]]
    assert ["ms", "", "%"] == [figure["unit"] for figure in written["figures"]]
    assert ("abc123", MACHINE, ["burst"]) == (read.commit, read.machine, read.failed)
    assert list(run.comparisons) == list(read.comparisons)


def test_the_facts_of_the_machine_name_neither_host_nor_path() -> None:
    facts = describe_machine()

    assert {"cores", "system", "architecture", "python", "sqlite"} == set(facts)
    assert not [fact for fact in facts.values() if "/" in str(fact)]
    assert isinstance(facts["cores"], int)


def test_a_table_replaces_the_one_between_the_markers() -> None:
    page = f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n"

    replaced = replace_table(page, "| new |")

    assert f"before\n\n{BEGIN}\n\n| new |\n\n{END}\n\nafter\n" == replaced
    assert replaced == replace_table(replaced, "| new |")


@pytest.mark.parametrize(
    "page", ["", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}", f"{BEGIN}{END}{END}"]
)
def test_a_page_without_both_markers_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="once, in this order"):
        replace_table(page, "")


def test_the_page_shows_the_kept_run() -> None:
    page = (ROOT / bench.PAGE).read_text(encoding="utf-8")
    kept = read_run(ROOT / bench.KEPT)

    assert kept.comparisons
    assert page == replace_table(page, page_table(kept))
    assert [] == kept.failed == find_duplicates(kept.comparisons)


# a whole run

REPORTS = """
from support.comparisons import Comparison, report
report([Comparison(what="{name}", figure=1, pair=2)])
"""


def write_scripts(folder: Path, **codes: str) -> list[Path]:
    scripts = []
    for name, code in codes.items():
        scripts.append(folder / f"{name}.py")
        scripts[-1].write_text(code, encoding="utf-8")
    return scripts


@pytest.fixture
def _support(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"))


@pytest.mark.usefixtures("_support")
def test_after_a_benchmark_that_fails_the_others_still_run(tmp_path: Path) -> None:
    first, last = REPORTS.format(name="first"), REPORTS.format(name="last")
    run = bench.run_all(write_scripts(tmp_path, first=first, fails=f"{first}raise SystemExit(3)", last=last))

    assert ["fails"] == run.failed
    assert ["first", "first", "last"] == [each.what for each in run.comparisons]
    assert describe_machine() == run.machine


@pytest.mark.usefixtures("_support")
def test_a_benchmark_that_hangs_is_killed_with_what_it_started(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    hangs = f"""
import os, subprocess, sys, time
os.mkfifo({str(pipe)!r})
subprocess.Popen([sys.executable, "-c", "import time; f = open({str(pipe)!r}); time.sleep(100)"])
f = open({str(pipe)!r}, "w")
time.sleep(100)
"""
    [script] = write_scripts(tmp_path, hangs=hangs)

    def has_reader() -> bool:
        try:
            os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return False
        return True

    started = time.monotonic()

    assert not bench.run_benchmark(script, tmp_path / "figures", 3)
    assert 60 > time.monotonic() - started
    wait_until(lambda: not has_reader(), "the process that it started has ended", seconds=20)


@pytest.mark.usefixtures("_support")
def test_a_benchmark_without_time_is_reported_and_not_started(tmp_path: Path) -> None:
    """The clock moves on by 100 s with each look at it."""
    scripts = write_scripts(tmp_path, first=REPORTS.format(name="first"), last=REPORTS.format(name="last"))
    clock = itertools.count(0, 100)

    run = bench.run_all(scripts, total_seconds=150, now=lambda: next(clock))

    assert ["last"] == run.failed
    assert ["first"] == [each.what for each in run.comparisons]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder with the page and a kept run."""
    (tmp_path / "docs").mkdir()
    (tmp_path / bench.PAGE).write_text(f"{BEGIN}\n{END}\n", encoding="utf-8")
    write_run(make_run(LATENCY), tmp_path / bench.KEPT)
    return tmp_path


def test_a_run_is_kept_only_if_it_is_asked_for(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slow = make_run(replace(LATENCY, figure=600))

    assert 0 == bench.finish(slow, repository, is_complete=True, keep=False)
    assert list(slow.comparisons) == read_run(repository / bench.LATEST).comparisons
    assert [LATENCY] == read_run(repository / bench.KEPT).comparisons
    assert "worse than the kept run: 1." in capsys.readouterr().out

    assert 0 == bench.finish(slow, repository, is_complete=True, keep=True)
    assert list(slow.comparisons) == read_run(repository / bench.KEPT).comparisons
    page = (repository / bench.PAGE).read_text(encoding="utf-8")
    assert make_table(comparisons.HEADING, [slow.comparisons[0].cells()]) in page
    assert "commit `abc123`; cores 2, python 3.11.1." in page


@pytest.mark.parametrize(
    "run, reason",
    [
        (make_run(RATE, failed=("burst",)), "failed: burst"),
        (make_run(RATE, RATE), "several figures have one name: rate"),
        (make_run(), "nothing was measured"),
    ],
)
def test_a_run_with_a_problem_ends_with_1_and_is_not_kept(
    repository: Path, capsys: pytest.CaptureFixture[str], run: BenchRun, reason: str
) -> None:
    assert 1 == bench.finish(run, repository, is_complete=True, keep=True)
    assert [LATENCY] == read_run(repository / bench.KEPT).comparisons
    printed = capsys.readouterr().out
    assert reason in printed
    assert "The run is not kept." in printed


def test_every_benchmark_of_the_folder_is_run() -> None:
    """scale.py is a simulation, which measures nothing of the program."""
    scripts = {path.stem for path in (ROOT / "tests" / "bench").glob("*.py")}

    assert scripts - {"all", "scale"} == set(bench.BENCHMARKS)
