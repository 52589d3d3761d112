"""What an operator sees of payouts where something goes wrong between marking, writing and paying.

tests/test_cli_withdrawals.py has what each command prints and refuses.
"""

import array
import fcntl
import json
import os
import sqlite3
import subprocess
import sys
import termios
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from pydantic import SecretStr

from notifier.cli import main as cli_module
from notifier.cli.main import cli
from notifier.config.sections import PayoutConfig
from notifier.config.settings import Config
from notifier.domain.money import POINTS, Amounts
from notifier.domain.notice import NoticeReason
from notifier.domain.payout import PayoutReport, PayoutRetry, PayoutState, body_of
from notifier.runtime.leader import take_over
from notifier.store import audit, payouts
from notifier.store.engine.database import Database
from notifier.store.processes import workers
from notifier.store.processes.workers import NewWorker
from notifier.store.schema.tables import deliveries, delivery_notices, notices
from support.builders import CNY
from support.running import clean_environment
from support.waiting import wait_until
from support.withdrawal_rows import REFERRER, create_payout, create_withdrawn_order, read_payout

# 2026-03-01 00:00 in Shanghai
MARCH = 1_772_294_400_000
DAY_MS = 86_400_000
FULL_DISK = Path("/dev/full")
CALLED = {
    "NOTIFIER_PAYOUTS__URL": "https://payroll.example.com/",
    "NOTIFIER_PAYOUTS__SECRET": "a-secret-of-16-chars",
}
HEAD = "order_id,account_id,tenant_key,referrer_open_id,kind,currency,amount,withdrawn_at,exported_at"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    written = tmp_path / "config.yaml"
    written.write_text(
        f"store: {{url: 'sqlite:///{tmp_path}/notifier.db'}}\n"
        "groups: {hr: {chat_id: oc_hr}}\nfallback_group: hr\n",
        encoding="utf-8",
    )
    return written


def run(file: Path, *words: str, **environ: str) -> Result:
    hidden = {name: None for name in os.environ if name.startswith(("NOTIFIER_", "FEISHU_", "LARK_", "APP_"))}
    return CliRunner().invoke(cli, [*words, "--config", str(file)], env={**hidden, **environ})


def says(file: Path, *words: str) -> str:
    result = run(file, *words)
    assert 0 == result.exit_code, result.output
    return result.stdout


def typed(file: Path, *words: str) -> list[str]:
    """As a shell would start it."""
    return [sys.executable, "-m", "notifier", *words, "--config", str(file)]


def in_state(database: Database, order_id: str, state: str, *, at: int = MARCH) -> None:
    """A payout brought there by the way it takes in life."""
    one = create_payout(database, order_id, at=at)
    dead = PayoutRetry(state=PayoutState.DEAD, due_at=0, reason="422")
    ways: dict[str, Any] = {
        "pending": lambda _: None,
        "sent": lambda c: payouts.mark_submitted(c, one, now=at),
        "dead": lambda c: payouts.mark_submission_failed(c, one, dead),
    }
    said = PayoutReport(
        order_id=order_id, status=PayoutState(state), reference=f"W-{order_id}", reason="", at=at
    )
    database.write(ways.get(state, lambda c: payouts.apply_report(c, said, now=at))).result()


def with_amounts(database: Database, order_id: str, taken: Amounts) -> None:
    one = create_withdrawn_order(database, order_id, at=MARCH)
    body = body_of(one, withdrawn=taken, at=MARCH, referrer=REFERRER)
    database.write(lambda c: payouts.create_payout(c, one, body=body, now=MARCH)).result()


def ids(text: str) -> list[str]:
    return [row["order_id"] for row in json.loads(text)]


def told(database: Database, order_id: str) -> list[tuple[str, str]]:
    """Who is to hear what of an order."""
    query = (
        sa.select(deliveries.c.target, notices.c.reason)
        .join(delivery_notices, delivery_notices.c.delivery_id == deliveries.c.id)
        .join(notices, notices.c.id == delivery_notices.c.notice_id)
        .where(deliveries.c.order_id == order_id)
        .order_by(notices.c.id, deliveries.c.id)
    )
    with database.read() as connection:
        return [(row.target, row.reason) for row in connection.execute(query)]


def trail_of(database: Database, order_id: str) -> list[tuple[str, str | None]]:
    with database.read() as connection:
        return [
            (row.outcome, row.account_id)
            for row in audit.list_entries(connection, order_id=order_id, limit=99)
        ]


# export


def test_a_csv_to_the_last_byte(file: Path, database: Database) -> None:
    with_amounts(database, "rn-1", {POINTS: Decimal("1E+3"), CNY: Decimal("0.0100")})
    ran = subprocess.run(
        typed(file, "payouts", "export"), capture_output=True, check=True, env=clean_environment(), timeout=60
    )
    before = "rn-1,acc-1,tk,ou_lin".replace("acc-1", read_payout(database, "rn-1").account.account_id)

    assert (
        f"\ufeff{HEAD}\r\n"
        f"{before},cash,CNY,0.0100,2026-02-28T16:00:00.000Z,\r\n"
        f"{before},points,,1000,2026-02-28T16:00:00.000Z,\r\n"
    ).encode() == ran.stdout, "and nothing else is there"
    assert b"1 payout exported." == ran.stderr.strip()


@pytest.mark.parametrize("beginning", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_run_by_a_spreadsheet(file: Path, database: Database, beginning: str) -> None:
    create_payout(database, f"{beginning}SUM(A1)", at=MARCH)

    assert f"'{beginning}SUM(A1)" in says(file, "payouts", "export")


def test_json_has_what_a_call_would_have_handed_over(file: Path, database: Database) -> None:
    one = create_payout(database, "rn-1", at=MARCH)

    (row,) = json.loads(says(file, "payouts", "export", "--format", "json"))
    assert json.loads(one.body) | {"exported_at": None} == row
    (again,) = json.loads(says(file, "payouts", "export", "--format", "json", "--again"))
    assert {key for key in row if row[key] != again[key]} == {"exported_at"}


def test_nothing_to_export_as_json_is_an_empty_list(file: Path, database: Database) -> None:
    in_state(database, "rn-1", "paid")
    result = run(file, "payouts", "export", "--format", "json")

    assert (0, [], "0 payouts exported.\n") == (result.exit_code, json.loads(result.stdout), result.stderr)


def test_only_what_nobody_has_leaves_as_new(file: Path, database: Database) -> None:
    for state in PayoutState:
        in_state(database, f"rn-{state}", state)

    assert ["rn-pending", "rn-dead"] == ids(says(file, "payouts", "export", "--format", "json"))


def test_again_lists_all_of_the_period_and_changes_nothing(file: Path, database: Database) -> None:
    for state in PayoutState:
        in_state(database, f"rn-{state}", state)
    create_payout(database, "rn-next-day", at=MARCH + DAY_MS)
    period = ("--since", "2026-03-01", "--until", "2026-03-02")
    before = [
        (read_payout(database, f"rn-{state}"), trail_of(database, f"rn-{state}")) for state in PayoutState
    ]

    assert [f"rn-{state}" for state in PayoutState if state is not PayoutState.UNCONFIRMED] == ids(
        says(file, "payouts", "export", "--format", "json", "--again", *period)
    )
    assert before == [
        (read_payout(database, f"rn-{state}"), trail_of(database, f"rn-{state}")) for state in PayoutState
    ]


def test_two_who_export_at_once_never_get_the_same_row(file: Path, database: Database) -> None:
    orders = [f"rn-{number}" for number in range(20)]
    for each in orders:
        create_payout(database, each, at=MARCH)

    def export(_: int) -> list[str]:
        words = typed(file, "payouts", "export", "--format", "json")
        ran = subprocess.run(words, capture_output=True, check=True, env=clean_environment(), timeout=60)
        return ids(ran.stdout.decode())

    with ThreadPoolExecutor(3) as pool:
        taken = [order for part in pool.map(export, range(3)) for order in part]

    assert sorted(orders) == sorted(taken)


@pytest.mark.skipif(not FULL_DISK.exists(), reason="this system has no /dev/full")
def test_what_could_not_be_written_is_not_marked(file: Path, database: Database) -> None:
    create_payout(database, "rn-1", at=MARCH)
    with FULL_DISK.open("wb") as full:
        ran = subprocess.run(
            typed(file, "payouts", "export", "--format", "json"),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=clean_environment(),
            timeout=60,
        )

    assert 0 != ran.returncode
    assert "not all was written" in ran.stderr
    assert "Nothing is marked as exported" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert PayoutState.PENDING is read_payout(database, "rn-1").state
    assert ["rn-1"] == ids(says(file, "payouts", "export", "--format", "json"))


def test_a_pipe_gets_the_rows_and_is_not_replaced_by_a_file(
    file: Path, database: Database, tmp_path: Path
) -> None:
    """As with --output >(cat >f)."""
    create_payout(database, "rn-1", at=MARCH)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.read_text)
        ran = run(file, "payouts", "export", "--format", "json", "--output", str(pipe))
        assert 0 == ran.exit_code, ran.output
        assert ["rn-1"] == ids(read.result(30))

    assert pipe.is_fifo()


def test_a_pipe_whose_reader_goes_away_leaves_nothing_marked(
    file: Path, database: Database, tmp_path: Path
) -> None:
    for number in range(400):  # more than a pipe holds
        create_payout(database, f"rn-{number}", at=MARCH)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def read_a_little() -> None:
        with pipe.open("rb") as reader:
            reader.read(1)

    with ThreadPoolExecutor(1) as pool:
        gone = pool.submit(read_a_little)
        ran = run(file, "payouts", "export", "--format", "json", "--output", str(pipe))
        gone.result(30)

    assert 1 == ran.exit_code
    assert "Nothing is marked as exported" in ran.stderr
    with database.read() as connection:
        assert {"pending": 400} == payouts.count_by_state(connection)


@pytest.mark.parametrize("output", ["/dev/stdout", "-"])
def test_standard_output_by_its_names(file: Path, database: Database, tmp_path: Path, output: str) -> None:
    create_payout(database, "rn-1", at=MARCH)
    target = tmp_path / "out.json"
    with target.open("wb") as stdout:
        words = typed(file, "payouts", "export", "--format", "json", "--output", output)
        subprocess.run(words, stdout=stdout, check=True, cwd=tmp_path, env=clean_environment(), timeout=60)

    assert ["rn-1"] == ids(target.read_text(encoding="utf-8"))
    assert not (tmp_path / "-").exists()


def test_what_stands_in_the_output_before_and_after_is_kept(
    file: Path, database: Database, tmp_path: Path
) -> None:
    create_payout(database, "rn-1", at=MARCH)
    target = tmp_path / "out.txt"
    words = typed(file, "payouts", "export", "--format", "json", "--output", "/dev/stdout")
    with target.open("ab") as stdout:
        for command in (["echo", "before"], words, ["echo", "after"]):
            subprocess.run(command, stdout=stdout, check=True, env=clean_environment(), timeout=60)

    shown = target.read_text(encoding="utf-8").splitlines()
    assert ("before", "after") == (shown[0], shown[-1])
    assert ["rn-1"] == ids("\n".join(shown[1:-1]))


def test_a_closed_standard_output_is_an_error(file: Path, database: Database) -> None:
    create_payout(database, "rn-1", at=MARCH)
    words = ["bash", "-c", '"$@" >&-', "bash", *typed(file, "payouts", "export")]
    ran = subprocess.run(words, stderr=subprocess.PIPE, check=False, env=clean_environment(), timeout=60)

    assert (2, True) == (ran.returncode, b"standard output is closed" in ran.stderr), ran.stderr
    assert PayoutState.PENDING is read_payout(database, "rn-1").state


def test_an_export_that_could_not_be_marked_says_what_must_not_be_paid(
    file: Path, database: Database, tmp_path: Path
) -> None:
    create_payout(database, "rn-1", at=MARCH)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    words = typed(file, "payouts", "export", "--format", "json", "--output", str(pipe))
    with subprocess.Popen(words, stderr=subprocess.PIPE, env=clean_environment()) as exporting:
        other = sqlite3.connect(tmp_path / "notifier.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pipe.open("rb") as reader:  # the payouts are written as soon as somebody reads
            reader.read()
        said = exporting.communicate(timeout=60)[1].decode()
        other.execute("ROLLBACK")
        other.close()

    assert 1 == exporting.returncode, said
    assert "none of them is marked as exported" in said
    assert "DO NOT PAY" in said
    assert PayoutState.PENDING is read_payout(database, "rn-1").state


def test_a_call_that_a_crash_interrupted_is_not_stuck_without_an_address(
    file: Path, database: Database
) -> None:
    create_payout(database, "rn-1", at=MARCH)
    database.write(lambda c: payouts.claim_due(c, now=MARCH * 2, limit=5, in_flight_ids=())).result()

    database.write(lambda c: take_over(c, now=MARCH * 2, submits_payouts=False)).result()

    assert PayoutState.UNKNOWN is read_payout(database, "rn-1").state
    assert [] == ids(run(file, "payouts", "export", "--format", "json").stdout)
    assert ["rn-1"] == ids(run(file, "payouts", "export", "--format", "json", "--include-unknown").stdout)


def test_a_running_notifier_that_submits_payouts_is_asked_not_the_settings_of_this_shell(
    file: Path, database: Database
) -> None:
    """Without NOTIFIER_PAYOUTS__URL in the shell of the operator a row was exported and posted."""
    create_payout(database, "rn-1", at=MARCH)
    database.write(
        lambda c: workers.register_worker(c, NewWorker(worker_id="w", submits_payouts=True), now=MARCH)
    ).result()

    ran = run(file, "payouts", "export", "--format", "json")

    assert [] == ids(ran.stdout)
    assert "1 left out: submitted by the running notifier" in ran.stderr


def test_what_changes_while_the_file_is_written_is_named(
    file: Path, database: Database, tmp_path: Path
) -> None:
    """It stands in the file, but has been paid in another way."""
    for number in range(400):
        create_payout(database, f"rn-{number}", at=MARCH)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def pay_then_read() -> None:
        with pipe.open("rb") as reader:
            wait_until(lambda: waiting_bytes(reader.fileno()) > 50_000, "the first pages are written")
            said = PayoutReport(order_id="rn-0", status=PayoutState.PAID, reference="W", reason="", at=MARCH)
            database.write(lambda c: payouts.apply_report(c, said, now=MARCH)).result()
            reader.read()

    with ThreadPoolExecutor(1) as pool:
        paid = pool.submit(pay_then_read)
        ran = run(file, "payouts", "export", "--format", "json", "--output", str(pipe))
        paid.result(60)

    assert 1 == ran.exit_code
    assert "DO NOT PAY from this file, because they changed meanwhile: rn-0." in ran.stderr
    assert PayoutState.PAID is read_payout(database, "rn-0").state
    with database.read() as connection:
        assert {"paid": 1, "sent": 399} == payouts.count_by_state(connection)


def waiting_bytes(descriptor: int) -> int:
    """Bytes in a pipe that nobody has read."""
    found = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, found)
    return found[0]


def test_a_withdrawal_whose_answer_came_late_is_not_lost_between_two_months(
    file: Path, database: Database
) -> None:
    """Feishu booked it before the month's end, we learned of it after the month had left."""
    one = create_withdrawn_order(database, "rn-1", at=MARCH)
    body = body_of(one, withdrawn={CNY: Decimal(5)}, at=MARCH - 1, referrer=REFERRER)
    database.write(lambda c: payouts.create_payout(c, one, body=body, now=MARCH + 5)).result()
    words = ("payouts", "export", "--format", "json")

    assert [] == ids(says(file, *words, "--until", "2026-03-01"))
    (row,) = json.loads(says(file, *words, "--since", "2026-03-01"))
    assert ("rn-1", "2026-02-28T15:59:59.999Z") == (row["order_id"], row["withdrawn_at"])


# mark


def test_a_doubt_names_the_reference_that_is_known(file: Path, database: Database) -> None:
    in_state(database, "rn-1", "paid")
    result = run(file, "payouts", "mark", "rn-1", "paid", "--reference", "W-2")

    assert (1, "") == (result.exit_code, result.stdout)
    assert "notifier: rn-1 was paid already, under another reference, W-rn-1." in result.stderr
    assert [] == told(database, "rn-1")


def test_a_reference_that_comes_later_is_no_second_payment(file: Path, database: Database) -> None:
    create_payout(database, "rn-1", at=MARCH)
    says(file, "payouts", "mark", "rn-1", "paid")
    says(file, "payouts", "mark", "rn-1", "paid", "--reference", "W-2")

    assert "reference     W-2" in says(file, "payouts", "show", "rn-1")


@pytest.mark.parametrize("written", [" W-rn-1 ", "W-rn-1\n", "W-rn-1\udcff"])
def test_a_reference_is_read_as_in_a_report(file: Path, database: Database, written: str) -> None:
    """Else a blank at its end would look like a second payment."""
    in_state(database, "rn-1", "paid")

    assert "nothing changed" in says(file, "payouts", "mark", "rn-1", "paid", "--reference", written)


def test_a_mark_tells_the_referrer_and_of_a_failure_the_group_too(file: Path, database: Database) -> None:
    create_payout(database, "rn-1", at=MARCH)
    create_payout(database, "rn-2", at=MARCH)
    says(file, "payouts", "mark", "rn-1", "failed", "--reason", "account\nclosed")
    says(file, "payouts", "mark", "rn-2", "paid")
    says(file, "payouts", "mark", "rn-2", "paid")

    failed, paid = NoticeReason.PAYOUT_FAILED, NoticeReason.PAID
    assert [("referrer", failed), ("hr", failed)] == told(database, "rn-1")
    assert [("referrer", paid)] == told(database, "rn-2"), "once"
    assert ["paid"] == [outcome for outcome, _ in trail_of(database, "rn-2")], (
        "what changed nothing is no entry"
    )
    assert "account closed" == read_payout(database, "rn-1").reason


def test_a_mark_with_a_clock_that_was_set_back_is_not_taken(file: Path, database: Database) -> None:
    create_payout(database, "rn-1", at=MARCH)
    tomorrow = PayoutReport(
        order_id="rn-1", status=PayoutState.FAILED, reference="", reason="", at=MARCH + 365_000 * DAY_MS
    )
    database.write(lambda c: payouts.apply_report(c, tomorrow, now=MARCH)).result()
    result = run(file, "payouts", "mark", "rn-1", "failed", "--reason", "account closed")

    assert 1 == result.exit_code
    assert "clock" in result.stderr
    assert PayoutState.FAILED is read_payout(database, "rn-1").state


# retry


def test_a_retry_keeps_key_and_words_and_is_in_the_account_s_trail(file: Path, database: Database) -> None:
    in_state(database, "rn-1", "dead")
    in_state(database, "rn-2", "sent")
    before = read_payout(database, "rn-1")

    assert 0 == run(file, "payouts", "retry", "--all-dead", **CALLED).exit_code
    after = read_payout(database, "rn-1")
    assert (before.order_id, before.body, "pending") == (after.order_id, after.body, after.state)
    assert [("to be submitted again", before.account.account_id)] == trail_of(database, "rn-1")
    assert "to be submitted again" in says(file, "audit", "--account", before.account.account_id)
    assert PayoutState.SENT is read_payout(database, "rn-2").state


@pytest.mark.parametrize("words", [[], ["rn-1", "--all-dead"]])
def test_a_retry_names_them_or_takes_all(file: Path, database: Database, words: list[str]) -> None:
    in_state(database, "rn-1", "dead")

    assert 2 == run(file, "payouts", "retry", *words, **CALLED).exit_code
    assert PayoutState.DEAD is read_payout(database, "rn-1").state


# what other commands say of payouts


def test_the_status_counts_payouts_only_where_there_are_any(file: Path, database: Database) -> None:
    assert "payouts" not in says(file, "status")
    assert {} == json.loads(says(file, "status", "--json"))["payouts"]

    in_state(database, "rn-1", "dead")
    in_state(database, "rn-2", "sent")
    assert "payouts       1 dead, 1 sent\n" in says(file, "status")
    assert {"dead": 1, "sent": 1} == json.loads(says(file, "status", "--json"))["payouts"]


def test_a_withdrawal_shows_its_payout(file: Path, database: Database) -> None:
    create_withdrawn_order(database, "rn-0", at=MARCH)
    in_state(database, "rn-1", "paid")
    in_state(database, "rn-2", "pending")

    assert "payout" not in says(file, "withdrawals", "show", "rn-0"), "it is from before there were payouts"
    assert json.loads(says(file, "withdrawals", "show", "rn-0", "--json"))["payout"] is None
    assert "payout        paid, W-rn-1\n" in says(file, "withdrawals", "show", "rn-1")
    assert "payout        pending\n" in says(file, "withdrawals", "show", "rn-2")
    assert {"state": "paid", "reference": "W-rn-1"} == json.loads(
        says(file, "withdrawals", "show", "rn-1", "--json")
    )["payout"]


def test_a_payout_shows_every_time_that_is_known(file: Path, database: Database) -> None:
    in_state(database, "rn-1", "dead")
    says(file, "payouts", "export")
    says(file, "payouts", "mark", "rn-1", "failed", "--reason", "closed")
    one = read_payout(database, "rn-1")
    database.write(lambda c: payouts.mark_late_notified(c, one, now=MARCH)).result()

    shown = says(file, "payouts", "show", "rn-1")
    words = (
        "submitted ",
        "exported ",
        "settled ",
        "alarm sent ",
        "reason        closed",
        "  exported",
        "failed",
    )
    assert [] == [each for each in words if each not in shown]
    in_json = json.loads(says(file, "payouts", "show", "rn-1", "--json"))
    times = ("created_at", "sent_at", "exported_at", "settled_at", "late_notified_at")
    assert [] == [name for name in times if in_json[name] is None]
    assert ["exported", "failed"] == [row["outcome"] for row in in_json["audit"]]


def test_lists_are_narrowed_by_state_and_number_newest_first(file: Path, database: Database) -> None:
    for number, state in enumerate(("dead", "sent", "dead", "dead")):
        in_state(database, f"rn-{number}", state)

    def listed(*words: str) -> list[str]:
        return ids(says(file, "payouts", "list", "--json", *words))

    assert ["rn-3", "rn-2", "rn-1", "rn-0"] == listed("--state", "dead", "--state", "sent")
    assert ["rn-3", "rn-2"] == listed("--state", "dead", "--limit", "2")


def test_the_logs_know_the_secret_that_they_must_hide(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr("notifier.logs.set_up_logging", given.update)
    cli_module._set_up_logs(Config(payouts=PayoutConfig(secret=SecretStr("a-secret-of-16-chars"))))

    assert "a-secret-of-16-chars" in given["secrets"]
