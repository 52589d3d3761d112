"""The command line: what each command prints, and its exit code."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from notifier.cli.context import SANDBOX_CLOCK_FILE
from notifier.cli.main import cli
from notifier.clock import SystemClock, to_millis
from notifier.domain.delivery import CardVariant, DeliveryOutcome, DeliveryState
from notifier.domain.route import Recipient
from notifier.feishu.wire import read_event
from notifier.flow.events.receive import Receiver
from notifier.operations.sample_cards import SAMPLES, WITHDRAWAL_SAMPLES
from notifier.store import accounts, inbox, rate_limits, recipients
from notifier.store.engine.database import Database
from notifier.store.inbox import EntryOutcome, InboxState
from notifier.store.processes import workers
from notifier.store.processes.workers import NewWorker, WorkerRow
from support.delivery_rows import (
    CHEN,
    LIN,
    claim,
    create_delivery,
    create_notice,
    dead_outcome,
    finish_failed,
    finish_sent,
    freeze_content,
    read_states,
)
from support.withdrawal_rows import create_payout

HEAVY = ("lark_oapi", "aiohttp", "alembic", "jinja2", "babel")


def now() -> int:
    """Return the system time in milliseconds, which the commands use."""
    return to_millis(SystemClock().now())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration for the database of the fixture `database`."""
    written = tmp_path / "config.yaml"
    written.write_text(f"store: {{url: 'sqlite:///{tmp_path}/notifier.db'}}", encoding="utf-8")
    return written


def run(file: Path, *words: str, **environ: str) -> Result:
    """A command with this configuration, without the settings of this shell."""
    hidden = {name: None for name in os.environ if name.startswith(("NOTIFIER_", "FEISHU_", "LARK_", "APP_"))}
    return CliRunner().invoke(cli, [*words, "--config", str(file)], env={**hidden, **environ})


def says(file: Path, *words: str) -> str:
    """What a command that goes well prints."""
    result = run(file, *words)
    assert (0, "") == (result.exit_code, result.stderr), result.output
    return result.stdout


def stuck(
    database: Database, key: str, recipient: Recipient = LIN, *, outcome: DeliveryOutcome | None = None
) -> int:
    created_at = now()
    one = create_delivery(database, recipient, key, now=created_at)
    claimed = next(each for each in claim(database, now=created_at).deliveries if each.delivery.id == one)
    freeze_content(database, claimed)
    finish_failed(
        database,
        claimed,
        outcome or dead_outcome("this person has resigned", code=230029),
        now=created_at + 40,
    )
    return one


UNKNOWN = DeliveryOutcome(
    state=DeliveryState.UNKNOWN, reason="no answer", variant=CardVariant.FULL, unknown_since=1
)


# start-up


@pytest.mark.parametrize(
    "words, banned",
    [
        (["--help"], HEAVY),
        (["--version"], HEAVY),
        (["deliveries", "--help"], HEAVY),
        (["status"], ("lark_oapi", "aiohttp", "jinja2")),
        (["deliveries", "list"], ("lark_oapi", "aiohttp", "jinja2")),
        (["migrate"], ("lark_oapi", "aiohttp", "jinja2")),
        (["preview", "--list"], ("lark_oapi", "aiohttp")),
        (["lint", "--ignore", "null"], ("lark_oapi", "aiohttp")),
        (["check"], ("lark_oapi", "aiohttp")),
    ],
)
def test_a_command_imports_no_more_than_it_needs(
    file: Path, words: list[str], banned: tuple[str, ...]
) -> None:
    arguments = words if "--help" in words or "--version" in words else [*words, "--config", str(file)]
    program = (
        "import json, sys\nfrom notifier.cli.main import cli\n"
        f"try:\n    cli({arguments!r})\nexcept SystemExit:\n    pass\n"
        f"print(json.dumps(sorted(set({banned!r}) & set(sys.modules))), file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )

    assert [] == json.loads(ended.stderr.splitlines()[-1])


# status


@pytest.mark.usefixtures("database")
def test_status_of_a_new_database_is_empty(file: Path) -> None:
    text = says(file, "status")

    assert "process       has never run on this database\nconnection    none\nlast event    never\n" in text
    assert "deliveries    none\nwaiting       0\ndead          0\nunknown       0\n" in text


def beat(database: Database, *, ago: dict[str, int | None], **values: str) -> None:
    """Store the heartbeat of a worker. ago: its times, in milliseconds before now."""
    created_at = now()
    times = {
        "started_at": 3_700_000,
        "heartbeat_at": 0,
        "stopped_at": None,
        "connection_since": 130_000,
    } | ago
    at: dict[str, Any] = {name: None if past is None else created_at - past for name, past in times.items()}
    texts: dict[str, Any] = {"connection_state": "connected", "connection_detail": None} | values
    database.write(
        lambda c: workers.register_worker(c, NewWorker(worker_id="me"), now=at["started_at"])
    ).result()
    database.write(
        lambda c: workers.write_heartbeat(c, WorkerRow(worker_id="me", last_event_at=None, **at, **texts))
    ).result()


@pytest.mark.parametrize(
    "ago, texts, process, connection",
    [
        ({}, {}, "running for 1 h", "connected for 2 min"),
        (
            {},
            {"connection_state": "lost", "connection_detail": "no network"},
            "running for 1 h",
            "lost for 2 min: no network",
        ),
        ({"stopped_at": 70_000}, {}, "stopped 1 min ago", "none"),
        ({"heartbeat_at": 310_000}, {}, "no heartbeat for 5 min; is it running?", "none"),
    ],
)
def test_status_shows_the_process_and_its_connection(
    file: Path,
    database: Database,
    ago: dict[str, int | None],
    texts: dict[str, str],
    process: str,
    connection: str,
) -> None:
    beat(database, ago=ago, **texts)

    assert says(file, "status").startswith(f"process       {process}\nconnection    {connection}\n")


def prepare(database: Database) -> None:
    """Create one of everything that status shows."""
    stuck(database, "a")
    create_delivery(database, CHEN, "b", now=now())
    event = read_event(b"not json", app_id="cli_x")
    Receiver(database, SystemClock(), wake=lambda: None).accept(event).result(10)
    quarantined = EntryOutcome(entry_id=1, state=InboxState.QUARANTINED, reason="not an event")
    database.write(lambda c: inbox.finish_entries(c, [quarantined])).result()
    database.write(lambda c: accounts.postpone_lookup(c, 1, due_at=now(), reason="no scope")).result()
    database.write(
        lambda c: rate_limits.block(c, rate_limits.SENDING, until=now() + 600_000, reason="too often")
    ).result()


def test_status_shows_what_waits_and_what_is_stuck_and_why(file: Path, database: Database) -> None:
    prepare(database)
    text = says(file, "status")

    for line in (
        "events        1 quarantined",
        "deliveries    1 dead, 1 ready",
        "dead          1",
        "  1 dead (code 230029): this person has resigned",
        "failed 1 times: no scope",
        "quarantined   1 events that cannot be processed, newest first:",
        ": not an event",
    ):
        assert line in text
    assert re.search(r"^waiting       1, oldest for \d+ s, 0 s to drain$", text, re.MULTILINE)
    assert re.search(r"^on hold       im.messages for 9 min: too often$", text, re.MULTILINE)


def test_status_for_programs_is_json_with_the_same(file: Path, database: Database) -> None:
    prepare(database)
    report = json.loads(says(file, "status", "--json"))

    assert ("never", 1, 1, 0) == (report["process"], report["waiting"], report["dead"], report["unknown"])
    assert [{"state": "dead", "code": 230029, "reason": "this person has resigned", "count": 1}] == report[
        "stalled"
    ]
    assert {"quarantined": 1} == report["inbox"]
    assert "im.messages" == report["rate_limited"][0]["limit"]


def test_status_counts_how_long_a_crowd_takes(file: Path, database: Database) -> None:
    for number in range(50):
        create_delivery(database, LIN, f"n-{number}", now=now())
    text = json.loads(run(file, "status", "--json", NOTIFIER_SENDING__PER_MINUTE="25").stdout)

    assert 120 == text["seconds_to_drain"]


def test_status_uses_the_clock_of_the_clock_file(file: Path, database: Database) -> None:
    beat(database, ago={"stopped_at": 70_000})
    clock_file = file.parent / "clock"
    clock_file.write_text("7200", encoding="ascii")

    assert "process       stopped 1 min ago\n" in says(file, "status")
    assert "process       stopped 2 h ago\n" in says(file, "status", "--clock-file", str(clock_file))


# deliveries


@pytest.mark.usefixtures("database")
def test_without_deliveries_the_list_says_so(file: Path) -> None:
    assert "No deliveries.\n" == says(file, "deliveries", "list")


def test_deliveries_are_listed_as_a_table_newest_first(file: Path, database: Database) -> None:
    stuck(database, "a")
    create_notice(database, "b", recipient=None, now=now())
    head, first, second = says(file, "deliveries", "list").splitlines()

    assert ["id", "state", "to", "account", "variant", "tries", "changed", "reason"] == head.split()
    assert ["2", "waiting", "referrer"] == first.split()[:3]
    assert second.endswith("this person has resigned")


def test_deliveries_can_be_listed_by_state_and_for_programs(file: Path, database: Database) -> None:
    one = stuck(database, "a")
    create_delivery(database, CHEN, "b", now=now())
    (row,) = json.loads(says(file, "deliveries", "list", "--state", "dead", "--json"))

    assert (one, "dead", 230029) == (row["id"], row["state"], row["last_code"])


def test_a_delivery_is_shown_with_every_try_and_what_it_says(file: Path, database: Database) -> None:
    one = stuck(database, "a")
    text = says(file, "deliveries", "show", str(one))

    assert f"delivery      {one}, dead, full card" in text
    assert "reason        this person has resigned (code 230029)" in text
    assert re.search(
        r"^try 1 .*, 40 ms, uuid [0-9a-f]{32}-f: dead this person has resigned$", text, re.MULTILINE
    )
    assert text.endswith('content\n  {\n    "schema": "2.0"\n  }\n')


def test_a_delivery_is_shown_for_programs(file: Path, database: Database) -> None:
    one = stuck(database, "a")
    shown = json.loads(says(file, "deliveries", "show", str(one), "--json"))

    assert (one, "dead", 1) == (shown["row"]["id"], shown["row"]["state"], len(shown["attempts"]))


def test_a_sent_delivery_names_its_message(file: Path, database: Database) -> None:
    one = create_delivery(database, LIN, "a", now=now())
    finish_sent(database, claim(database, now=now()).deliveries[0])

    assert f"message       om_{one} in oc_p2p" in says(file, "deliveries", "show", str(one))


@pytest.mark.parametrize("words", [["show", "9"], ["retry", "9"], ["drop", "9"]])
@pytest.mark.usefixtures("database")
def test_a_delivery_that_is_not_there_is_an_error_of_one_line(file: Path, words: list[str]) -> None:
    result = run(file, "deliveries", *words)

    assert (1, 1) == (result.exit_code, len(result.stderr.splitlines()))
    assert "9" in result.stderr


def test_a_retry_says_what_will_be_sent_again(file: Path, database: Database) -> None:
    one = stuck(database, "a")

    assert f"1 will be sent again: {one}.\n" == says(file, "deliveries", "retry", str(one))
    assert ["waiting"] == read_states(database, [one])


def test_all_dead_are_retried_and_the_unknown_left_alone(file: Path, database: Database) -> None:
    gone, unknown = stuck(database, "a"), stuck(database, "b", CHEN, outcome=UNKNOWN)

    assert f"1 will be sent again: {gone}.\n" == says(file, "deliveries", "retry", "--all-dead")
    assert ["waiting", "unknown"] == read_states(database, [gone, unknown])


def test_a_drop_says_what_was_dropped_and_what_could_not_be(file: Path, database: Database) -> None:
    gone, ready = stuck(database, "a"), create_delivery(database, CHEN, "b", now=now())
    result = run(file, "deliveries", "drop", str(gone), str(ready))

    assert (1, f"1 dropped: {gone}.\n") == (result.exit_code, result.stdout)
    assert f"{ready}: neither dead nor unknown" in result.stderr
    assert ["dropped", "ready"] == read_states(database, [gone, ready])


@pytest.mark.parametrize(
    "words", [["retry"], ["retry", "1", "--all-dead"], ["drop"], ["list", "--state", "odd"]]
)
def test_a_senseless_command_is_refused(file: Path, words: list[str]) -> None:
    assert 2 == run(file, "deliveries", *words).exit_code


# migrate


def test_migrate_makes_the_database_and_says_its_schema(file: Path) -> None:
    assert "The database is at schema 0001.\n" == says(file, "migrate")
    assert (file.parent / "notifier.db").exists()


def test_a_database_of_a_newer_program_is_an_error_of_one_line(file: Path, database: Database) -> None:
    database.write(lambda c: c.execute(sa.text("UPDATE alembic_version SET version_num = '0099'"))).result()
    result = run(file, "status")

    assert (2, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith("notifier: The database has schema 0099; this program knows ")


# preview


def test_preview_prints_the_card_as_json(file: Path) -> None:
    assert "2.0" == json.loads(says(file, "preview", "--json"))["schema"]


def test_preview_names_templates_and_samples(file: Path) -> None:
    text = says(file, "preview", "--list")

    assert f"balance_change.json.j2: {', '.join(SAMPLES)}\n" in text
    assert f"withdrawal_compact.json.j2: {', '.join(WITHDRAWAL_SAMPLES)}\n" in text


def test_preview_shows_a_withdrawal_and_refuses_a_sample_of_another_kind(file: Path) -> None:
    assert "WIRE-2026-0042" in says(file, "preview", "withdrawal.json.j2", "--sample", "paid", "--json")
    result = run(file, "preview", "withdrawal.json.j2", "--sample", "increase")

    assert 2 == result.exit_code
    assert f"There are: {', '.join(WITHDRAWAL_SAMPLES)}." in result.stderr


@pytest.mark.parametrize(
    "words, said",
    [
        (["--sample", "odd"], "there is no sample 'odd' for this. There are: increase, "),
        (["odd.json.j2"], "odd.json.j2: there is no such template"),
    ],
)
def test_preview_of_something_that_is_not_there_is_an_error_of_one_line(
    file: Path, words: list[str], said: str
) -> None:
    result = run(file, "preview", *words)

    assert (2, 1) == (result.exit_code, len(result.stderr.splitlines()))
    assert said in result.stderr


# check


def test_check_without_credentials_says_where_they_come_from(file: Path) -> None:
    result = run(file, "check")

    assert 1 == result.exit_code
    assert "PROBLEM  feishu.app_id is missing -> set FEISHU_APP_ID" in result.stdout
    assert "2 problems found." in result.stdout


def test_check_says_which_variable_won(file: Path) -> None:
    result = run(file, "check", FEISHU_APP_ID="a", LARK_APP_ID="b", APP_SECRET="very-secret")

    assert 0 == result.exit_code
    assert "feishu.app_id comes from FEISHU_APP_ID" in result.stdout
    assert "LARK_APP_ID is set too, but FEISHU_APP_ID wins" in result.stdout
    assert "very-secret" not in result.output
    assert result.stdout.endswith("All good.\n")


def test_check_names_limits_above_those_of_feishu(file: Path) -> None:
    """Feishu may have granted them, so that they are neither good nor a problem."""
    limits = {
        "NOTIFIER_SENDING__PER_SECOND": "60",
        "NOTIFIER_SENDING__PER_CHAT_PER_SECOND": "5",
        "NOTIFIER_WITHDRAWALS__PER_MINUTE": "101",
    }
    result = run(file, "check", FEISHU_APP_ID="a", APP_SECRET="b", **limits)

    assert 0 == result.exit_code
    assert "UNKNOWN  sending.per_second: 60 is higher than the 50 that Feishu documents -> " in result.stdout
    assert (
        "UNKNOWN  withdrawals.per_minute: 101 is higher than the 100 that Feishu documents" in result.stdout
    )
    assert 2 == result.stdout.count("that Feishu documents")


def test_check_finds_a_broken_template_of_ones_own(file: Path) -> None:
    folder = file.parent / "templates"
    folder.mkdir()
    (folder / "balance_change.json.j2").write_text("{\n{{ oops }}", encoding="utf-8")
    result = run(file, "check", NOTIFIER_CARDS__TEMPLATE_DIR=str(folder), APP_ID="a", APP_SECRET="b")

    assert 1 == result.exit_code
    assert "PROBLEM  template balance_change.json.j2, line 2: " in result.stdout
    assert "see it with: notifier preview balance_change.json.j2 --sample increase" in result.stdout
    assert "ok       template balance_change_compact.json.j2 (shipped)" in result.stdout


def test_check_names_a_template_that_nothing_uses(file: Path) -> None:
    folder = file.parent / "templates"
    folder.mkdir()
    card = '{"schema": "2.0", "body": {"elements": [{"tag": "markdown", "content": "x"}]}}'
    (folder / "balance-change.json.j2").write_text(card, encoding="utf-8")
    (folder / "withdrawal.json").write_text(card, encoding="utf-8")
    (folder / "_mine.j2").write_text("", encoding="utf-8")
    (folder / "digest.json.j2").write_text('{% import "_mine.j2" as mine %}' + card, encoding="utf-8")
    result = run(file, "check", NOTIFIER_CARDS__TEMPLATE_DIR=str(folder), APP_ID="a", APP_SECRET="b")

    assert 1 == result.exit_code
    unused = [line for line in result.stdout.splitlines() if "is never used" in line]
    assert 2 == len(unused), result.stdout
    assert "balance-change.json.j2 is never used (did you mean balance_change.json.j2?)" in unused[0]
    assert "withdrawal.json is never used (did you mean withdrawal.json.j2?)" in unused[1]
    assert "ok       template balance-change" not in result.stdout


def test_check_finds_a_card_that_feishu_would_refuse(file: Path) -> None:
    folder = file.parent / "templates"
    folder.mkdir()
    (folder / "mine.json.j2").write_text(
        '{"schema": "2.0", "body": {"elements": [{"tag": "odd"}]}}', encoding="utf-8"
    )
    result = run(file, "check", NOTIFIER_CARDS__TEMPLATE_DIR=str(folder), APP_ID="a", APP_SECRET="b")

    assert 1 == result.exit_code
    assert "PROBLEM  template mine.json.j2 (sample increase): body.elements[0]" in result.stdout


@pytest.mark.parametrize("words", [["status"], ["deliveries", "list"], ["deliveries", "show", "1"]])
def test_looking_at_a_database_that_is_not_there_says_so_and_makes_none(
    tmp_path: Path, words: list[str]
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"store: {{url: 'sqlite:///{tmp_path}/none/notifier.db'}}", encoding="utf-8")

    ran = CliRunner().invoke(cli, [*words, "--config", str(config)])

    assert 2 == ran.exit_code
    assert "there is no database" in ran.stderr
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "variable, value, said",
    [
        (
            "TZ",
            "CST-8",
            "time zone of the machine: CST-8, which is no IANA zone; the notifier does not use it",
        ),
        ("TZ", "Asia/Shanghai", "time zone of the machine: Asia/Shanghai"),
        (
            "HTTPS_PROXY",
            "http://me:pw@proxy.example.com:3128",
            "calls to Feishu's API go through proxy.example.com",
        ),
        ("HTTPS_PROXY", "nonsense", "an address that is not valid -> correct HTTPS_PROXY"),
    ],
)
def test_check_looks_at_the_machine(file: Path, variable: str, value: str, said: str) -> None:
    result = run(file, "check", FEISHU_APP_ID="a", FEISHU_APP_SECRET="b", **{variable: value})

    assert said in result.stdout
    assert "me:pw" not in result.output


def test_check_names_files_that_others_can_read(file: Path, database: Database) -> None:
    path = Path(database.engine.url.database or "")
    path.chmod(0o644)
    result = run(file, "check", FEISHU_APP_ID="a", FEISHU_APP_SECRET="b")

    assert 1 == result.exit_code
    assert f"others on this machine can read notifier.db -> chmod 600 {path}" in result.stdout


def test_a_configuration_with_several_faults_names_all_of_them(file: Path) -> None:
    file.write_text(
        "feishu: {app_idd: x}\nsending: {per_minute: many}\nroutes: [{name: a, to: [nobody]}]\n",
        encoding="utf-8",
    )
    result = run(file, "check", NOTIFIER_NOTHING="1", NOTIFIER_LOG__LEVELL="x")

    assert 2 == result.exit_code
    for fault in ("feishu.app_idd", "sending.per_minute", "NOTIFIER_NOTHING", "NOTIFIER_LOG__LEVELL"):
        assert fault in result.stderr


def test_a_configuration_names_all_references_that_lead_nowhere(file: Path) -> None:
    file.write_text(
        "groups: {hr: {chat_id: oc_1}, sales: {chat_id: oc_1}}\nroutes: [{name: a, to: [hrr]}, {name: a, to: [x]}]\n"
        "fallback_group: zzz\npayouts: {alarm_group: yyy}\n",
        encoding="utf-8",
    )
    result = run(file, "check")

    for fault in (
        "groups.sales.chat_id: oc_1 is the chat of groups.hr too",
        "routes[0].to: there is no group called 'hrr' under `groups` (did you mean hr?); there are: hr, sales, ref",
        "routes[1].to: there is no group called 'x'",
        "routes: the name 'a' is used twice",
        "fallback_group: there is no group called 'zzz'",
        "payouts.alarm_group: there is no group called 'yyy'",
    ):
        assert fault in result.stderr


def test_status_for_monitoring_is_one_line_and_an_exit_code(file: Path, database: Database) -> None:
    stopped = run(file, "status", "--check")
    assert (1, "ATTENTION: process has never run on this database\n") == (stopped.exit_code, stopped.stdout)

    def start(connection: sa.Connection) -> None:
        workers.register_worker(connection, NewWorker(worker_id="w"), now=now())
        row = workers.get_last_worker(connection)
        assert row is not None
        workers.write_heartbeat(connection, replace(row, connection_state="connected"))

    database.write(start).result()
    good = run(file, "status", "--check")
    assert 0 == good.exit_code, good.output
    assert good.stdout.startswith("OK: running for ")

    one = create_delivery(database, LIN, "n-1", now=now())
    dead = sa.text("UPDATE deliveries SET state = 'dead', last_error = :why WHERE id = :id")
    database.write(lambda c: c.execute(dead, {"why": "no such chat " * 30, "id": one}).rowcount).result()
    database.write(lambda c: recipients.plan_all(c, now=now())).result()
    bad = run(file, "status", "--check")
    assert (1, "ATTENTION: 1 dead deliveries\n") == (bad.exit_code, bad.stdout)

    report = run(file, "status").stdout
    assert "-> correct the cause, then `notifier deliveries retry ID`" in report
    assert max(map(len, report.splitlines())) <= 120


def test_status_names_payouts_and_reroutes_with_what_to_do(file: Path, database: Database) -> None:
    create_payout(database, "rn-1")
    database.write(
        lambda c: c.execute(sa.text("UPDATE payouts SET state = 'unknown', reason = 'no answer'")).rowcount
    ).result()
    one = create_delivery(database, LIN, "n-1", now=now())
    gone = sa.text(
        "UPDATE deliveries SET state = 'rerouted', last_error = 'this person has resigned', updated_at = :now "
        "WHERE id = :id"
    )
    database.write(lambda c: c.execute(gone, {"id": one, "now": now()}).rowcount).result()
    database.write(lambda c: recipients.plan_all(c, now=now())).result()
    report = run(file, "status").stdout

    assert "payout rn-1 unknown: no answer" in report
    assert "-> ask the payroll team whether it was paid" in report
    assert "1 rerouted to the fallback group: this person has resigned" in report
    assert "-> correct the cause; `notifier deliveries list --state rerouted` has the people" in report


def test_commands_follow_the_clock_of_a_sandbox_that_made_the_configuration(
    file: Path, database: Database
) -> None:
    """With the clock moved by a day, a heartbeat of now is not a day old."""
    (file.parent / SANDBOX_CLOCK_FILE).write_text("86400", encoding="ascii")
    database.write(
        lambda c: workers.register_worker(c, NewWorker(worker_id="w"), now=now() + 86_400_000)
    ).result()

    assert "running for 0 s" in run(file, "status").stdout


def test_the_check_of_a_database_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("store:\n  url: postgresql+psycopg://u:a-password@127.0.0.1:1/x\n", encoding="utf-8")
    checked = CliRunner().invoke(cli, ["status", "--check", "--config", str(config)])

    assert (1, 1) == (checked.exit_code, checked.stdout.count("\n"))
    assert checked.stdout.startswith("ATTENTION: ")
    assert "the server cannot be reached" in checked.stdout
    assert "a-password" not in checked.output
    assert 2 == CliRunner().invoke(cli, ["status", "--config", str(config)]).exit_code
