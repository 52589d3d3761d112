"""Several notifiers on one database: nothing lost, nothing twice, whichever dies, sleeps or has a wrong clock.

NOTIFIER_TESTS_REPLICA_KILLS sets the number of kills; `make torture` makes many.
"""

import os
import random
import signal
import time
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from notifier import __version__
from notifier.runtime.leader import ask_to_reconnect
from notifier.sandbox.testing import FeishuBox
from notifier.store.engine.database import Database
from notifier.store.schema.tables import attempts, deliveries, digest_runs, reconciliation_runs
from support import crash_sweep, figures, replica_sweep
from support import payout_checks as money
from support.postgres import RestartableServer
from support.replica_set import TAKE_OVER_SECONDS, replica_set
from support.waiting import wait_until

KILLS = int(os.environ.get("NOTIFIER_TESTS_REPLICA_KILLS", "4"))
SEED = int(os.environ.get("NOTIFIER_TESTS_REPLICA_SEED", "20261127"))
CLOCKS_AHEAD = (0.0, 5.0, -5.0)
RATE_LIMIT_CODES = {99991400, 230020, 11232, 11233}


@pytest.mark.timeout(300 + 30 * KILLS)
def test_replicas_that_are_killed_lose_nothing_and_repeat_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their clocks are 5 s apart, and Feishu's limits hold."""
    started = time.monotonic()
    with FeishuBox(replica_sweep.settings()) as box:
        more = crash_sweep.ROUTES + money.SETTINGS.replace("{url}", box.url)
        with replica_set(box, tmp_path, more=more, clocks_ahead=CLOCKS_AHEAD) as replicas:
            earliest = replicas.read_time()
            replicas.start()
            for started_at in replicas.list_start_times():
                assert earliest <= started_at <= replicas.read_time(), "by the clock of the database"
            swept = replica_sweep.ReplicaSweep(replicas, random.Random(SEED))
            swept.run_kills(KILLS)
            terms = replicas.get_term()
        counted, zeros = swept.counted(), swept.zeros()
        refused = {code: count for code, count in box.refusals().items() if code in RATE_LIMIT_CODES}
    counted |= {"leaders killed": swept.leaders_killed, "terms": terms}
    zeros["refused by a limit"] = sum(refused.values())
    figures.write_figures("replicas", counted=counted, zeros=zeros, seconds=time.monotonic() - started)
    with capsys.disabled():
        print(f"\n{counted} {zeros} in {time.monotonic() - started:.0f} s")  # noqa: T201 - figures

    assert dict.fromkeys(zeros, 0) == zeros, swept.list_problems()
    assert swept.leaders_killed < terms


@pytest.mark.timeout(300 + 30 * KILLS)
def test_a_database_server_that_crashes_under_load_costs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started = time.monotonic()
    server = RestartableServer(tmp_path / "server")
    try:
        with FeishuBox(replica_sweep.settings()) as box:
            more = crash_sweep.ROUTES + money.SETTINGS.replace("{url}", box.url)
            with replica_set(
                box, tmp_path, store_url=server.store_url, more=more, clocks_ahead=(0.0, 0.0)
            ) as replicas:
                swept = replica_sweep.ReplicaSweep(replicas, random.Random(SEED))
                swept.run_crashes_of_the_database(server, KILLS)
                assert not any(each.ended for each in replicas.replicas), replicas.log[-4000:]
            counted, zeros = swept.counted(), swept.zeros()
    finally:
        server.close()
    figures.write_figures(
        "crashes of the database", counted=counted, zeros=zeros, seconds=time.monotonic() - started
    )
    with capsys.disabled():
        print(f"\n{counted} {zeros} in {time.monotonic() - started:.0f} s")  # noqa: T201 - figures

    assert dict.fromkeys(zeros, 0) == zeros, swept.list_problems()


def test_another_replica_leads_soon_after_the_leader_ends(feishu_box: FeishuBox, tmp_path: Path) -> None:
    account = feishu_box.accounts()[0]
    with replica_set(feishu_box, tmp_path, clocks_ahead=(0.0, 0.0)) as replicas:
        replicas.start()
        leader = replicas.wait_for_leader()
        term, stopped_at = replicas.get_term(), time.monotonic()
        assert leader.stop() == 0
        wait_until(lambda: replicas.get_term() > term, "the other one leads")
        after_stop = time.monotonic() - stopped_at
        leader.start()
        leader, term, killed_at = replicas.wait_for_leader(), replicas.get_term(), time.monotonic()
        leader.kill()
        feishu_box.change_balance(account["account_id"], points=5)
        wait_until(lambda: replicas.get_term() > term, "the other one leads", seconds=TAKE_OVER_SECONDS)
        replicas.wait_until_settled()
        after_kill = time.monotonic() - killed_at

    assert feishu_box.messages(account["open_id"])
    figures.write_figures(
        "take-over",
        counted={
            "after SIGTERM ms": round(after_stop * 1000),
            "after kill ms": round(after_kill * 1000),
        },
        zeros={},
        seconds=0,
    )


def test_a_leader_that_was_suspended_stores_nothing_and_calls_nothing(
    feishu_box: FeishuBox, tmp_path: Path
) -> None:
    accounts = feishu_box.accounts()
    with replica_set(feishu_box, tmp_path, clocks_ahead=(0.0, 0.0)) as replicas:
        replicas.start()
        feishu_box.change_balances([(each["account_id"], 5, {}) for each in accounts])
        replicas.wait_until_settled()
        leader, term = replicas.wait_for_leader(), replicas.get_term()
        os.kill(leader.pid, signal.SIGSTOP)
        feishu_box.change_balances([(each["account_id"], 5, {}) for each in accounts])
        wait_until(lambda: replicas.get_term() > term, "the other one leads", seconds=TAKE_OVER_SECONDS)
        (other,) = (each for each in replicas.replicas if each is not leader)
        os.kill(leader.pid, signal.SIGCONT)
        wait_until(lambda: "leadership.ended" in leader.log, "it no longer leads")
        replicas.wait_until_settled()
        feishu_box.change_balances([(each["account_id"], 5, {}) for each in accounts])
        replicas.wait_until_settled()
        assert replicas.find_leader() is other
        with replicas.database.read() as connection:
            sent = connection.execute(sa.select(deliveries.c.id)).all()
            calls = connection.execute(sa.select(sa.func.count()).select_from(attempts)).scalar_one()
        after = leader.log.split("leadership.ended", 1)[1]

    assert "delivery.sent" not in after
    assert len(sent) == calls == len(feishu_box.all_messages())


def test_status_lists_the_replicas_and_warns_of_different_configurations(
    feishu_box: FeishuBox, tmp_path: Path
) -> None:
    with replica_set(feishu_box, tmp_path, clocks_ahead=(0.0, 0.0)) as replicas:
        replicas.start()
        leader = replicas.wait_for_leader()
        (other,) = (each for each in replicas.replicas if each is not leader)
        shown = leader.status()
        assert [] == shown["attention"]
        assert {leader.folder.name: True, other.folder.name: False} == {
            each["name"]: each["leads"] for each in shown["replicas"]
        }
        assert {"connected"} == {each["connection"] for each in shown["replicas"]}
        assert 1 == len({each["config_fingerprint"] for each in shown["replicas"]})

        other.stop()
        changed = f"{other.config.read_text(encoding='utf-8')}\nsending:\n  per_second: 40\n"
        other.config.write_text(changed, encoding="utf-8")
        other.start()
        assert ["configurations of the replicas differ"] == leader.status()["attention"]
        text = leader.command("status").stdout
        leader.stop()
        wait_until(lambda: replicas.find_leader() is other, "the other one leads")
        other.stop()
        after = other.status()

    assert "replicas      2\n" in text
    assert "give them the same file, and restart them" in text
    assert ("stopped", []) == (after["process"], after["replicas"])


@pytest.mark.timeout(300)
def test_what_happens_once_happens_once_whoever_leads(feishu_box: FeishuBox, tmp_path: Path) -> None:
    """A digest that is due in a minute, and reconciliation; with a change of the leader in between."""
    zone = ZoneInfo("Asia/Shanghai")
    due = (datetime.now(zone) + timedelta(seconds=80)).replace(second=0, microsecond=0)
    more = f'digests:\n  - name: hr-daily\n    to: [hr]\n    at: "{due:%H:%M}"\n    jitter_seconds: 0\n'
    feishu_box.change_balance(feishu_box.accounts()[0]["account_id"], points=5)
    with replica_set(feishu_box, tmp_path, more=more) as replicas:
        replicas.start()
        feishu_box.wait_for(lambda: feishu_box.messages("oc_sandbox_hr"), "the digest", timeout=120)
        first = replicas.wait_for_leader()
        runs = count_reconciliation_runs(replicas.database)
        assert first.stop() == 0
        second = replicas.wait_for_leader()
        wait_until(lambda: "leader.started" in second.log, "it has taken over")
        replicas.start()
        feishu_box.change_balance(feishu_box.accounts()[0]["account_id"], points=5)
        replicas.wait_until_settled()
        with replicas.database.read() as connection:
            digests = connection.execute(sa.select(digest_runs.c.id)).all()
        assert runs == count_reconciliation_runs(replicas.database) > 0, "events could arrive all the time"
        log = replicas.log

    assert 1 == len(feishu_box.messages("oc_sandbox_hr")) == len(digests)
    assert 2 == log.count("leader.started")
    assert "connection.foreign_detected" not in log


def count_reconciliation_runs(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(reconciliation_runs)).scalar_one()


def test_all_replicas_connect_again_if_events_do_not_arrive(feishu_box: FeishuBox, tmp_path: Path) -> None:
    with replica_set(feishu_box, tmp_path, clocks_ahead=(0.0, 0.0)) as replicas:
        replicas.start()
        assert [1, 1] == [each.log.count("connection.connected") for each in replicas.replicas]
        now = replicas.read_time() + 1_000  # a replica's count of the database's time may be some ms ahead
        replicas.database.write(lambda c: ask_to_reconnect(c, replicas.database, now)).result()
        for each in replicas.replicas:
            wait_until(lambda each=each: each.log.count("connection.connected") == 2, "connected again")  # type: ignore[misc]


def test_an_older_program_runs_on_beside_a_newer_schema(feishu_box: FeishuBox, tmp_path: Path) -> None:
    """The schema one step ahead, as a newer version makes it: an older program may work on it, or not."""
    account = feishu_box.accounts()[0]
    with replica_set(feishu_box, tmp_path, clocks_ahead=(0.0, 0.0)) as replicas:
        running, restarted = replicas.replicas
        running.start()
        replicas.wait_for_leader()
        migrate_one_step(replicas.database, oldest_program=__version__)
        restarted.start()
        feishu_box.change_balance(account["account_id"], points=5)
        replicas.wait_until_settled()
        assert restarted.stop() == 0

        migrate_one_step(replicas.database, oldest_program="99.0.0")
        restarted.start(connected=False)
        code = restarted.wait_end()
        feishu_box.change_balance(account["account_id"], points=6)
        feishu_box.wait_for(
            lambda: len(feishu_box.messages(account["open_id"])) == 2, "the running one goes on", timeout=30
        )

    assert 2 == code
    assert "store.schema_newer" in restarted.log
    assert "Install the newer notifier, 99.0.0 at least." in restarted.log
    assert "Traceback" not in restarted.log


def migrate_one_step(database: Database, *, oldest_program: str) -> None:
    """Adds a column that this program does not know."""
    steps = (
        "ALTER TABLE accounts ADD COLUMN IF NOT EXISTS added_later TEXT",
        "UPDATE alembic_version SET version_num = '9999'",
        f"UPDATE schema_info SET version = '9999', oldest_program = '{oldest_program}'",  # noqa: S608
    )
    for step in steps:
        database.write(lambda c, sql=step: c.exec_driver_sql(sql).close()).result()  # type: ignore[misc]
