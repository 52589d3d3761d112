"""`notifier digest`: what each command prints, and its exit code."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from notifier.cli.main import cli
from notifier.store.engine.database import Database
from support.browser import open_page
from support.digests import read_digest_deliveries, read_runs, store_balance
from support.running import clean_environment
from support.waiting import wait_until

CONFIG = """\
store: {{url: 'sqlite:///{folder}/notifier.db'}}
groups: {{hr: {{chat_id: oc_hr, operators: [ou_hr]}}}}
withdrawals: {{offer_to: [hr]}}
digests:
  - {{name: hr-daily, to: [hr]}}
  - {{name: hr-work, to: [hr, referrer], working_days: true, cron: "7 9 * * 1-5"}}
  - {{name: month, to: hr, period: month, at: "8:41", time_zone: America/New_York}}
"""
EVERY_DAY = ", ".join(f"{datetime.now(UTC) + timedelta(days=number):%Y-%m-%d}" for number in range(-150, 150))
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    written = tmp_path / "config.yaml"
    written.write_text(CONFIG.format(folder=tmp_path), encoding="utf-8")
    return written


def run(file: Path, *words: str) -> Result:
    hidden = {name: None for name in os.environ if name.startswith(("NOTIFIER_", "FEISHU_", "LARK_", "APP_"))}
    return CliRunner().invoke(cli, ["digest", *words, "--config", str(file)], env=hidden)


def says(file: Path, *words: str) -> str:
    result = run(file, *words)
    assert (0, "") == (result.exit_code, result.stderr), result.output
    return result.stdout


@pytest.fixture
def books(database: Database) -> Database:
    """One account that earned something yesterday, in every zone of the configuration."""
    store_balance(database, 1, YESTERDAY - timedelta(days=3), CNY="100")
    store_balance(database, 1, YESTERDAY, CNY="350.50", points=3)
    return database


@pytest.mark.usefixtures("books")
def test_the_list_says_when_each_comes(file: Path) -> None:
    said = says(file, "list")

    assert "hr-daily: day to hr; `7 9 * * *` Asia/Shanghai" in said
    assert "hr-work: day to hr, referrer; `7 9 * * 1-5` Asia/Shanghai, working days only" in said
    assert "month: month to hr; `41 8 1 * *` America/New_York" in said
    assert 3 == len(re.findall(r"  next      20\d\d-\d\d-\d\d \d\d:\d\d  \w+:20", said))


@pytest.mark.usefixtures("books")
def test_the_list_shows_the_last_runs(file: Path) -> None:
    says(file, "send", "hr-daily", "--for", "yesterday")
    says(file, "send", "hr-daily", "--for", "yesterday", "--again")
    listed = json.loads(says(file, "list", "--json"))

    assert [("notified", 1), ("notified", 0)] == [
        (each["state"], each["correction_number"]) for each in listed[0]["last"]
    ]
    assert "correction 1" in says(file, "list")


def test_sending_makes_the_cards_and_sends_nothing_itself(file: Path, books: Database) -> None:
    assert "hr: on its way\n" == says(file, "send", "hr-daily", "--for", "yesterday")
    assert [("hr", "ready")] == [(row.target, row.state) for row in read_digest_deliveries(books)]


def test_sending_to_referrers_too(file: Path, books: Database) -> None:
    said = says(file, "send", "hr-work", "--for", "yesterday")
    again = run(file, "send", "hr-work", "--for", "yesterday")

    assert "referrers: on their way" in said
    assert {"hr", "referrer"} == {row.target for row in read_digest_deliveries(books)}
    assert (1, 2) == (again.exit_code, again.stdout.count("already"))


def test_a_period_is_sent_twice_only_as_a_correction(file: Path, books: Database) -> None:
    says(file, "send", "hr-daily", "--for", "yesterday")
    result = run(file, "send", "hr-daily", "--for", "yesterday")

    assert 1 == result.exit_code
    assert "--again sends it as a correction" in result.stdout
    assert 1 == len(read_runs(books))


def test_a_dry_run_prints_figures_that_prove_themselves(file: Path, books: Database) -> None:
    said = says(file, "send", "hr-daily", "--for", f"{_local_day(YESTERDAY)}", "--dry-run")

    assert "1 accounts with a change" in said
    assert "CNY: opening 100 + first seen 0 + rewards 250.5 - withdrawn 0 + corrections 0" in said
    assert "= closing 350.5 (adds up); balance 350.5" in said
    assert [] == read_runs(books)


def _local_day(at: datetime) -> str:
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - for this line

    return f"{at.astimezone(ZoneInfo('Asia/Shanghai')):%Y-%m-%d}"


@pytest.mark.usefixtures("books")
def test_the_card_of_a_preview_offers_what_could_be_withdrawn(file: Path) -> None:
    card = json.loads(says(file, "preview", "hr-daily", "--for", "today", "--json"))
    body: list[dict[str, Any]] = card["body"]["elements"]

    assert "form" in [element["tag"] for element in body]
    assert "So far" in json.dumps(card["header"])


@pytest.mark.usefixtures("books")
@pytest.mark.parametrize(
    "words, complaint",
    [
        (["send", "nobody", "--for", "today"], "there is no digest called 'nobody'. There are: hr-daily"),
        (["send", "hr-daily", "--for", "someday"], "--for: 'someday': this is not a date. Write 2026-11-23"),
        (["send", "hr-daily", "--for", "2026-02-30"], "this is not a date"),
        (["send", "hr-daily", "--for", "9999-12-31"], "--for: '9999-12-31'"),
        (["preview", "hr-daily", "--for", "2999-01-01"], "2999-01-01 has not begun yet"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(file: Path, words: list[str], complaint: str) -> None:
    result = run(file, *words)

    assert 2 == result.exit_code
    assert complaint in result.stderr
    assert 1 == len(result.stderr.splitlines())


@pytest.mark.usefixtures("database")
def test_no_digests_is_said(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"store: {{url: 'sqlite:///{tmp_path}/notifier.db'}}", encoding="utf-8")

    assert "There are no digests; config.example.yaml shows how to set one up.\n" == says(file, "list")
    assert "There are none yet" in run(file, "send", "x", "--for", "today").stderr


@pytest.mark.parametrize(
    "more, said",
    [
        ("", "ok       digest hr-daily: next 20"),
        ("  - {name: never, to: hr, cron: 7 9 30 2 *}\n", "PROBLEM  digest never has no next run"),
        (
            f"  - {{name: off, to: hr, working_days: true}}\ncalendar: {{closed_on: [{EVERY_DAY}]}}\n",
            "PROBLEM  digest off: no working day within 60 days of",
        ),
    ],
)
def test_check_says_when_digests_come_and_which_never_do(file: Path, more: str, said: str) -> None:
    file.write_text(file.read_text(encoding="utf-8") + more, encoding="utf-8")
    hidden = {name: None for name in os.environ if name.startswith(("NOTIFIER_", "FEISHU_", "LARK_", "APP_"))}
    result = CliRunner().invoke(cli, ["check", "--config", str(file)], env=hidden)

    assert said in result.stdout


@pytest.mark.browser
@pytest.mark.usefixtures("books")
def test_a_preview_is_a_page_that_sends_nothing(file: Path, tmp_path: Path) -> None:
    log = tmp_path / "preview.log"
    words = ("digest", "preview", "hr-daily", "--for", "yesterday", "--no-browser", "--config", str(file))
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "notifier", *words],
            stdout=output,
            stderr=output,
            env={**clean_environment(), "PYTHONUNBUFFERED": "1"},
        )
    try:
        found = wait_until(
            lambda: re.search(r"http://127\.0\.0\.1:\d+/", log.read_text()), "the address is printed"
        )
        with open_page(found[0]) as page:
            for place in ("preview-desktop", "preview-mobile"):
                card = page.get_by_test_id(place)
                card.get_by_text("内推奖励日报").wait_for()
                card.get_by_text("同事1").first.wait_for()
                card.locator("[data-drawn]").wait_for()
            page.get_by_test_id("preview-language").click()
            page.get_by_test_id("preview-desktop").get_by_text("Daily referral rewards").wait_for()
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.usefixtures("books")
def test_a_personal_digest_is_shown_as_its_reader_gets_it(file: Path) -> None:
    _personal(file)
    card = json.loads(says(file, "preview", "mine", "--for", "yesterday", "--json"))
    same = json.loads(
        says(file, "preview", "mine", "--for", "yesterday", "--json", "--account", "7000000000000000001")
    )

    assert "我的" in card["header"]["title"]["content"]
    assert card["body"]["elements"][:2] == same["body"]["elements"][:2]


@pytest.mark.usefixtures("books")
def test_a_personal_digest_of_nobody_says_so(file: Path) -> None:
    _personal(file)
    result = run(file, "preview", "mine", "--for", "yesterday", "--json", "--account", "7")

    assert 2 == result.exit_code
    assert "has no changes for account 7" in result.stderr


@pytest.mark.usefixtures("books")
def test_a_dry_run_says_how_many_referrers_there_are(file: Path) -> None:
    _personal(file)
    said = says(file, "send", "mine", "--for", "yesterday", "--dry-run")

    assert "1 referrers, each with their own figures" in said
    assert "file" not in said


def _personal(file: Path) -> None:
    file.write_text(
        file.read_text(encoding="utf-8") + "  - {name: mine, to: [referrer], time_zone: UTC}\n",
        encoding="utf-8",
    )


@pytest.mark.parametrize(
    "day, reason",
    [("0001-01-01", "too long ago"), ("9999-12-31", "has not begun yet"), ("1999-12-31", "ago")],
)
@pytest.mark.usefixtures("books")
def test_a_day_out_of_reach_is_refused_in_a_sentence(file: Path, day: str, reason: str) -> None:
    result = run(file, "send", "hr-daily", "--for", day)

    assert 2 == result.exit_code
    assert reason in result.stderr
    assert 1 == len(result.stderr.strip().splitlines())
