"""Results of reconciliation reads: any number costs the same number of statements."""

from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from notifier.domain.account import AccountState
from notifier.domain.event import AccountKey
from notifier.domain.rate_limit import RateLimit
from notifier.feishu.wire import encode_balance_reading
from notifier.flow.events.reconcile import ReconcileDeps, Reconciler, _ClaimedRead, _Reading
from notifier.store import ledger, reconciliation_runs, reconciliations
from notifier.store.engine.database import Database
from notifier.store.reconciliation_runs import ReconciliationTrigger
from notifier.store.reconciliations import PendingRead
from support.clock import FakeClock
from support.delivery_rows import NOW, account_ref
from support.statements import recorded


def reconciler(database: Database) -> Reconciler:
    deps = ReconcileDeps(
        referral_accounts=cast("Any", None),  # nothing is read
        app_id="cli_x",
        limit=RateLimit(per_second=1),
        own_limit=RateLimit(per_second=1),
        every_ms=None,
        on_connect=False,
        grace_ms=1_000,
        encode_reading=encode_balance_reading,
        connected_since=lambda: None,
        clock=FakeClock(),
        wake=lambda: None,
        on_not_receiving=lambda: None,
    )
    return Reconciler(database, deps)


def readings(database: Database, count: int) -> list[_Reading]:
    """Readings of so many accounts. Every second one differs from the ledger."""
    found = []
    for number in range(count):
        key = AccountKey(tenant_key="tk", app_id="cli_x", account_id=f"account {number}")
        ref = account_ref(database, key)
        with database.read() as connection:
            held = ledger.load_balances(connection, [ref])[ref]
        amounts = {asset: amount + Decimal(number % 2) for asset, amount in held.items()}
        read = PendingRead(account_ref=ref, account=key, modified_at=1, is_scheduled=True)
        found.append(
            _Reading(
                job=_ClaimedRead(read=read, claimed_at=NOW),
                state=AccountState(referrer=None, amounts=amounts, is_active=True),
                connected_since=None,
            )
        )
    return found


def test_thirty_results_cost_as_many_statements_as_two(tmp_path: Path) -> None:
    counts = []
    for count in (2, 30):
        database = Database.open(f"sqlite:///{tmp_path}/{count}.db")
        database.write(
            lambda c: reconciliation_runs.start_run(c, ReconciliationTrigger.SCHEDULE, now=NOW)
        ).result()
        results = readings(database, count)
        database.write(
            lambda c, rows=results: reconciliations.claim_reads(  # type: ignore[misc]
                c, [each.job.read for each in rows], run=None, until=rows[0].job.claimed_until
            )
        ).result()
        worker = reconciler(database)
        with recorded(database) as recording:
            database.write(lambda c, w=worker, rows=results: w._save_results(c, rows)).result()  # type: ignore[misc]
        counts.append(len(recording.texts))
        with database.read() as connection:
            known = reconciliations.load_known_balances(connection, [each.account_ref for each in results])
            run = reconciliation_runs.get_newest(connection)
        assert [NOW, None] * (count // 2) == [known[each.account_ref].confirmed_at for each in results]
        assert count // 2 == sum(each.mismatch_modified_at is not None for each in known.values())
        assert run is not None
        assert count == run.read
        database.close()

    assert counts[0] == counts[1] <= 7
