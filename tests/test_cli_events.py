"""`notifier events`: what was stored, and what becomes of an event that was not understood."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from notifier.cli.main import cli
from notifier.clock import SystemClock
from notifier.feishu.wire import read_event
from notifier.flow.events.receive import Receiver
from notifier.store import inbox
from notifier.store.engine.database import Database
from notifier.store.inbox import EntryOutcome, InboxState
from support.builders import balance_event

REASON = "event.modify_time is missing"


@pytest.fixture
def file(database: Database, tmp_path: Path) -> Path:
    """Event 1 is done, 2 is quarantined, 3 is no JSON and quarantined."""
    receiver = Receiver(database, SystemClock(), wake=lambda: None)
    for event in (
        balance_event(event_id="ev-1"),
        balance_event(event_id="ev-2"),
        read_event(b"not json \xff", app_id="cli_x"),
    ):
        receiver.accept(event).result(10)
    outcomes = [
        EntryOutcome(entry_id=1, state=InboxState.DONE),
        EntryOutcome(entry_id=2, state=InboxState.QUARANTINED, reason=REASON),
        EntryOutcome(entry_id=3, state=InboxState.QUARANTINED, reason="not an event"),
    ]
    database.write(lambda c: inbox.finish_entries(c, outcomes)).result()
    config = tmp_path / "config.yaml"
    url = database.engine.url.render_as_string(hide_password=False)
    config.write_text(f'store:\n  url: "{url}"\n', encoding="utf-8")
    return config


def run(file: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["events", *words, "--config", str(file)])


def states(file: Path) -> dict[int, tuple[str, str | None]]:
    found = json.loads(run(file, "list", "--json").stdout)
    return {each["id"]: (each["state"], each["reason"]) for each in found}


def test_events_are_listed_newest_first_and_by_state(file: Path) -> None:
    lines = run(file, "list").stdout.splitlines()
    quarantined = run(file, "list", "--state", "quarantined", "--limit", "1").stdout.splitlines()

    assert ["id", "state", "received", "type", "key", "reason"] == lines[0].split()
    assert ["3", "2", "1"] == [line.split()[0] for line in lines[1:]]
    assert ["3"] == [line.split()[0] for line in quarantined[1:]]
    assert REASON in lines[2]
    assert "No events.\n" == run(file, "list", "--state", "new").stdout


def test_one_is_shown_with_its_payload(file: Path) -> None:
    shown = run(file, "show", "2").stdout
    as_json = json.loads(run(file, "show", "2", "--json").stdout)

    assert f"reason        {REASON}\n" in shown
    assert '"event_id": "ev-2"' in shown
    assert "ev-2" == json.loads(as_json["payload"])["header"]["event_id"] == as_json["event_key"]
    assert "not json" in run(file, "show", "3").stdout
    unknown = run(file, "show", "99")
    assert (1, True) == (unknown.exit_code, "there is no event 99" in unknown.stderr)


def test_a_quarantined_event_is_processed_again_or_ignored(file: Path) -> None:
    assert "1 will be processed again: 2.\n" == run(file, "retry", "2").stdout
    assert "1 ignored: 3.\n" == run(file, "drop", "3").stdout

    assert {1: ("done", None), 2: ("new", None), 3: ("ignored", "ignored by an operator")} == states(file)


@pytest.mark.parametrize("command", ["retry", "drop"])
def test_other_events_are_left_as_they_are(file: Path, command: str) -> None:
    before = states(file)
    result = run(file, command, "1", "99")

    assert 1 == result.exit_code
    assert "1, 99: not quarantined, or there is no such event" in result.stderr
    assert before == states(file)
