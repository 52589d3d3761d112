"""`notifier payouts`: what each command prints, takes and refuses, on a real database."""

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from notifier.cli.main import cli
from notifier.domain.payout import PayoutRetry, PayoutState
from notifier.store import audit, payouts
from notifier.store.engine.database import Database
from support.withdrawal_rows import create_payout, read_payout

# 2026-03-01 00:00 in Shanghai
MARCH = 1_772_294_400_000
HOUR_MS = 3_600_000


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
    """A command with this configuration, without the settings of this shell."""
    hidden = {name: None for name in os.environ if name.startswith(("NOTIFIER_", "FEISHU_", "LARK_", "APP_"))}
    return CliRunner().invoke(cli, ["payouts", *words, "--config", str(file)], env={**hidden, **environ})


def exported(file: Path, *words: str, **environ: str) -> list[str]:
    result = run(file, "export", "--format", "json", *words, **environ)
    assert 0 == result.exit_code, result.output
    return [row["order_id"] for row in json.loads(result.stdout)]


def test_an_exported_amount_is_what_to_pay_and_so_positive(file: Path, database: Database) -> None:
    """A digest's file shows withdrawals as negative changes; here each amount is a payment."""
    create_payout(database, "rn-1", at=MARCH)
    rows = list(csv.DictReader(io.StringIO(run(file, "export", "--format", "csv").stdout.lstrip("\ufeff"))))

    assert rows
    assert [] == [row["amount"] for row in rows if not float(row["amount"]) > 0]


def give_up(database: Database, order_id: str) -> None:
    step = PayoutRetry(state=PayoutState.DEAD, due_at=0, reason="the payroll system answered 422")
    database.write(
        lambda c: payouts.mark_submission_failed(c, read_payout(database, order_id), step)
    ).result()


def trail(database: Database, order_id: str) -> Sequence[tuple[str, str, str]]:
    with database.read() as connection:
        rows = audit.list_entries(connection, order_id=order_id, limit=10)
        return [(row.action, row.actor, row.outcome) for row in rows]


CALLED = {
    "NOTIFIER_PAYOUTS__URL": "https://payroll.example.com/",
    "NOTIFIER_PAYOUTS__SECRET": "a-secret-of-16-chars",
}


def test_a_row_leaves_as_new_once_and_again_when_asked(file: Path, database: Database) -> None:
    create_payout(database, "rn-1", at=MARCH)

    assert ["rn-1"] == exported(file)
    assert [] == exported(file)
    again = run(file, "export", "--format", "json", "--again")
    (row,) = json.loads(again.stdout)
    assert row["exported_at"] is not None, "a repeat can be told from a new one"
    assert "1 payout listed again." in again.stderr
    assert [("payout", "command line", "exported")] == trail(database, "rn-1")
    assert "sent" == read_payout(database, "rn-1").state


def test_a_repeated_export_says_what_was_paid_already(file: Path, database: Database) -> None:
    create_payout(database, "rn-1", at=MARCH)
    assert 0 == run(file, "mark", "rn-1", "paid", "--reference", "WIRE-1").exit_code
    as_json = run(file, "export", "--format", "json", "--again")
    as_csv = run(file, "export", "--again")

    assert ["paid"] == [row["state"] for row in json.loads(as_json.stdout)]
    assert ["paid"] == [row["state"] for row in csv.DictReader(io.StringIO(as_csv.stdout.lstrip("\ufeff")))]
    assert "DO NOT PAY" in as_csv.stderr


@pytest.mark.parametrize(
    "words, found",
    [
        (["--since", "2026-03-01"], ["rn-1", "rn-2"]),
        (["--until", "2026-03-01"], ["rn-0"]),
        (["--since", "2026-03-01", "--until", "2026-03-02"], ["rn-1"]),
        (["--since", "2026-03-01T00:00+08:00", "--until", "2026-03-01T00:01"], ["rn-1"]),
        (["--since", "2026-02-28T16:00:01Z"], ["rn-2"]),
    ],
)
def test_dates_are_midnight_where_the_company_is(
    file: Path, database: Database, words: list[str], found: list[str]
) -> None:
    for number, at in enumerate((MARCH - 1, MARCH, MARCH + 24 * HOUR_MS)):
        create_payout(database, f"rn-{number}", at=at)

    assert found == exported(file, *words)


@pytest.mark.parametrize(
    "words, said",
    [
        (["--since", "yesterday"], "'yesterday' is not a time"),
        (["--until", "2026-13-01"], "'2026-13-01' is not a time"),
        (["--since", "2026-03-02", "--until", "2026-03-01"], "--since must be before --until"),
        (["--output", "/no/such/folder/x.csv"], "cannot be written"),
    ],
)
def test_what_makes_no_sense_takes_nothing(
    file: Path, database: Database, words: list[str], said: str
) -> None:
    create_payout(database, "rn-1", at=MARCH)
    result = run(file, "export", *words)

    assert (2, 1) == (result.exit_code, len(result.stderr.splitlines()))
    assert said in result.stderr
    assert ["rn-1"] == exported(file)


def test_a_csv_opens_as_it_is_in_a_spreadsheet(file: Path, database: Database, tmp_path: Path) -> None:
    create_payout(database, "rn-1", at=MARCH)
    create_payout(database, "=cmd|x", at=MARCH)
    target = tmp_path / "march.csv"
    result = run(file, "export", "--output", str(target))

    assert (0, "") == (result.exit_code, result.stdout)
    raw = target.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbforder_id,account_id,")
    assert b"\r\n" in raw
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"))))
    assert [("rn-1", "cash", "CNY", "350.5000"), ("'=cmd|x", "cash", "CNY", "350.5000")] == [
        (row["order_id"], row["kind"], row["currency"], row["amount"]) for row in rows
    ]
    assert "ou_lin" == rows[0]["referrer_open_id"]
    assert {"config.yaml", "march.csv"} == {each.name for each in tmp_path.iterdir() if "db" not in each.name}


@pytest.mark.usefixtures("database")
def test_nothing_to_export_is_no_error(file: Path) -> None:
    result = run(file, "export")

    assert (0, 1) == (result.exit_code, len(result.stdout.splitlines()))
    assert "0 payouts exported." in result.stderr


def test_what_a_call_is_handing_over_does_not_leave_by_two_ways(file: Path, database: Database) -> None:
    create_payout(database, "rn-1", at=MARCH)
    create_payout(database, "rn-2", at=MARCH)
    give_up(database, "rn-2")
    result = run(file, "export", "--format", "json", **CALLED)

    assert ["rn-2"] == [row["order_id"] for row in json.loads(result.stdout)]
    assert "1 left out" in result.stderr
    assert "pending" == read_payout(database, "rn-1").state


def test_a_mark_is_taken_once_and_a_second_payment_is_doubted(file: Path, database: Database) -> None:
    create_payout(database, "rn-1", at=MARCH)

    def mark(*words: str) -> tuple[int, str]:
        result = run(file, "mark", "rn-1", *words)
        return result.exit_code, result.stdout + result.stderr

    assert (0, "rn-1 is failed; the referrer is notified.\n") == mark("failed", "--reason", "closed")
    assert (0, "rn-1 is paid; the referrer is notified.\n") == mark("paid", "--reference", "W-1")
    assert (0, "rn-1 was paid already; nothing changed.\n") == mark("paid", "--reference", "W-1")
    code, said = mark("paid", "--reference", "W-2")
    assert 1 == code
    assert "paid twice?" in said
    assert ("manual", "command line", "paid, reference W-1") in trail(database, "rn-1")
    assert ("W-1", "paid") == (read_payout(database, "rn-1").reference, read_payout(database, "rn-1").state)


@pytest.mark.parametrize(
    "words, code, said",
    [
        (["rn-9", "paid"], 1, "there is no payout rn-9"),
        (["rn-1", "done"], 2, "done"),
        (["rn-1", "paid", "--reference", "x" * 129], 2, "longer than 128"),
        (["rn-1", "failed", "--reason", "x" * 501], 2, "longer than 500"),
    ],
)
def test_a_mark_that_makes_no_sense_changes_nothing(
    file: Path, database: Database, words: list[str], code: int, said: str
) -> None:
    create_payout(database, "rn-1", at=MARCH)
    result = run(file, "mark", *words)

    assert code == result.exit_code
    assert said in result.stderr
    assert "pending" == read_payout(database, "rn-1").state


def test_what_was_given_up_is_handed_over_again(file: Path, database: Database) -> None:
    for name in ("rn-1", "rn-2", "rn-3"):
        create_payout(database, name, at=MARCH)
    give_up(database, "rn-1")
    give_up(database, "rn-2")

    result = run(file, "retry", "rn-1", "rn-3", "rn-9", **CALLED)
    assert (1, "1 will be submitted again: rn-1.\n") == (result.exit_code, result.stdout)
    assert "rn-3, rn-9: neither dead nor unknown, or no such payout" in result.stderr
    assert "pending" == read_payout(database, "rn-1").state
    assert "1 will be submitted again: rn-2.\n" == run(file, "retry", "--all-dead", **CALLED).stdout
    assert ("manual", "command line", "to be submitted again") in trail(database, "rn-2")


def test_without_a_system_to_call_there_is_nothing_to_retry(file: Path, database: Database) -> None:
    create_payout(database, "rn-1", at=MARCH)
    give_up(database, "rn-1")
    result = run(file, "retry", "rn-1")

    assert 2 == result.exit_code
    assert "notifier payouts export" in result.stderr
    assert "dead" == read_payout(database, "rn-1").state


def test_a_list_and_one_of_it(file: Path, database: Database) -> None:
    assert "No payouts.\n" == run(file, "list").stdout
    create_payout(database, "rn-1", at=MARCH)
    run(file, "mark", "rn-1", "paid", "--reference", "W-1")

    listed = run(file, "list").stdout
    assert all(each in listed for each in ("rn-1", "paid", "350.50 CNY", "W-1"))
    assert "No payouts.\n" == run(file, "list", "--state", "dead").stdout
    assert ["rn-1"] == [row["order_id"] for row in json.loads(run(file, "list", "--json").stdout)]
    shown = run(file, "show", "rn-1").stdout
    assert all(each in shown for each in ("reference     W-1", "settled", "paid, reference W-1"))
    assert (
        "350.5000" == json.loads(run(file, "show", "rn-1", "--json").stdout)["body"]["amounts"][0]["amount"]
    )
    missing = run(file, "show", "rn-9")
    assert (1, "notifier: there is no payout rn-9; `notifier payouts list` shows them.\n") == (
        missing.exit_code,
        missing.stderr,
    )
