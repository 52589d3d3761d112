"""The ledger: reports in any order become one history whose changes add up to the balance."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from uuid import uuid4

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.domain.event import AccountKey, BalanceReport
from notifier.domain.ledger import BalanceChange, Snapshot, content_of
from notifier.domain.money import POINTS, Amounts, Asset
from notifier.store import ledger
from notifier.store.engine.database import Database
from notifier.store.ledger import AppliedReport, Imbalance
from support.builders import ACCOUNT, CNY, MODIFIED_AT, USD, balance_report

T1, T2, T3 = MODIFIED_AT, MODIFIED_AT + 1_000, MODIFIED_AT + 2_000
OTHER = AccountKey(tenant_key="tk", app_id="cli_x", account_id="7000000000000000002")


def enter(database: Database, *reports: BalanceReport) -> list[AppliedReport]:
    numbered = list(enumerate(reports, start=1))
    return database.write(lambda c: ledger.apply_reports(c, numbered)).result()


def announced(entered: AppliedReport) -> tuple[BalanceChange, ...] | None:
    return entered.rewrite.changes_to_notify if entered.rewrite else None


def step(asset: Asset, before: str, after: str) -> BalanceChange:
    return BalanceChange(asset=asset, before=Decimal(before), after=Decimal(after))


def changes_of(database: Database, account: AccountKey = ACCOUNT) -> list[tuple[BalanceChange, ...]]:
    with database.read() as connection:
        return [changes for _, changes in ledger.load_history(connection, account)]


def balance(database: Database, account: AccountKey = ACCOUNT) -> Amounts:
    with database.read() as connection:
        ref = connection.execute(
            sa.text("SELECT id FROM accounts WHERE account_id = :id"), {"id": account.account_id}
        ).scalar_one()
        return ledger.load_balances(connection, [ref]).get(ref, {})


def imbalances(database: Database) -> list[Imbalance]:
    with database.read() as connection:
        return ledger.find_imbalances(connection)


def test_the_first_sight_of_an_account_is_an_opening_counted_from_nothing(database: Database) -> None:
    (entered,) = enter(database, balance_report(cash={"CNY": "350.50"}, points=120))

    assert entered.rewrite is not None
    assert entered.rewrite.is_opening
    assert (step(CNY, "0", "350.50"), step(POINTS, "0", "120")) == entered.rewrite.changes_to_notify
    assert {CNY: Decimal("350.50"), POINTS: Decimal(120)} == balance(database)
    assert [] == imbalances(database)


def test_an_empty_account_seen_for_the_first_time_is_announced_with_no_change(database: Database) -> None:
    (entered,) = enter(database, balance_report())

    assert () == announced(entered)
    assert {} == balance(database)
    assert [] == imbalances(database)


def test_a_newer_report_is_a_change_against_the_one_before(database: Database) -> None:
    enter(database, balance_report(cash={"CNY": "700"}, modified_at=T1))
    (entered,) = enter(database, balance_report(cash={"CNY": "1200"}, points=5, modified_at=T2))

    assert (step(CNY, "700", "1200"), step(POINTS, "0", "5")) == announced(entered)
    assert [] == imbalances(database)


def test_an_asset_that_is_gone_is_a_change_to_zero(database: Database) -> None:
    enter(database, balance_report(cash={"CNY": "700", "USD": "80"}, modified_at=T1))
    (entered,) = enter(database, balance_report(cash={"CNY": "700"}, modified_at=T2))

    assert (step(USD, "80", "0"),) == announced(entered)
    assert {CNY: Decimal(700)} == balance(database)
    assert [] == imbalances(database)


def test_a_copy_of_a_report_changes_nothing(database: Database) -> None:
    report = balance_report(cash={"CNY": "700"})
    enter(database, report)

    assert [None] == [entered.rewrite for entered in enter(database, report)]
    assert [(step(CNY, "0", "700"),)] == changes_of(database)


def test_a_copy_inside_one_batch_changes_nothing(database: Database) -> None:
    report = balance_report(cash={"CNY": "700"})
    first, copy = enter(database, report, report)

    assert first.rewrite is not None
    assert copy.rewrite is None
    assert [] == imbalances(database)


def test_a_newer_report_with_the_same_content_is_kept_and_not_announced(database: Database) -> None:
    enter(database, balance_report(cash={"CNY": "700"}, modified_at=T1))
    (entered,) = enter(database, balance_report(cash={"CNY": "700"}, modified_at=T2))

    assert entered.rewrite is not None
    assert entered.rewrite.changes_to_notify is None
    assert [(step(CNY, "0", "700"),), ()] == changes_of(database)
    assert [] == imbalances(database)


def test_a_late_report_splits_the_change_that_spanned_it(database: Database) -> None:
    enter(database, balance_report(cash={"CNY": "100"}, modified_at=T1))
    enter(database, balance_report(cash={"CNY": "300"}, modified_at=T3))
    (late,) = enter(database, balance_report(cash={"CNY": "250"}, modified_at=T2))

    assert announced(late) is None
    assert [
        (step(CNY, "0", "100"),),
        (step(CNY, "100", "250"),),
        (step(CNY, "250", "300"),),
    ] == changes_of(database)
    assert {CNY: Decimal(300)} == balance(database)
    assert [] == imbalances(database)


def test_a_report_older_than_all_we_know_becomes_the_beginning(database: Database) -> None:
    enter(database, balance_report(cash={"CNY": "300"}, modified_at=T2))
    (late,) = enter(database, balance_report(cash={"CNY": "100"}, modified_at=T1))

    assert announced(late) is None
    assert [(step(CNY, "0", "100"),), (step(CNY, "100", "300"),)] == changes_of(database)
    assert [] == imbalances(database)


def test_of_two_reports_with_one_modify_time_the_later_made_is_the_balance(database: Database) -> None:
    enter(database, balance_report(cash={"CNY": "100"}, modified_at=T1, reported_at=T1 + 2))
    (early,) = enter(database, balance_report(cash={"CNY": "50"}, modified_at=T1, reported_at=T1 + 1))
    (latest,) = enter(database, balance_report(cash={"CNY": "200"}, modified_at=T1, reported_at=T1 + 3))

    assert announced(early) is None
    assert (step(CNY, "100", "200"),) == announced(latest)
    assert {CNY: Decimal(200)} == balance(database)
    assert [(step(CNY, "0", "50"),), (step(CNY, "50", "100"),), (step(CNY, "100", "200"),)] == changes_of(
        database
    )
    assert [] == imbalances(database)


def test_an_earlier_made_copy_moves_its_report_to_its_place_among_equals(database: Database) -> None:
    enter(database, balance_report(cash={"CNY": "100"}, modified_at=T1, reported_at=T1 + 2))
    enter(database, balance_report(cash={"CNY": "200"}, modified_at=T1, reported_at=T1 + 3))
    (copy,) = enter(database, balance_report(cash={"CNY": "200"}, modified_at=T1, reported_at=T1 + 1))

    assert announced(copy) is None
    assert [(step(CNY, "0", "200"),), (step(CNY, "200", "100"),)] == changes_of(database)
    assert {CNY: Decimal(100)} == balance(database)
    assert [] == imbalances(database)


def test_an_earlier_made_copy_of_the_only_report_changes_nothing_but_its_age(database: Database) -> None:
    enter(database, balance_report(cash={"CNY": "100"}, modified_at=T1, reported_at=T1 + 2))
    (copy,) = enter(database, balance_report(cash={"CNY": "100"}, modified_at=T1, reported_at=T1 + 1))

    assert announced(copy) is None
    assert [(step(CNY, "0", "100"),)] == changes_of(database)
    assert [] == imbalances(database)


def test_accounts_do_not_mix(database: Database) -> None:
    enter(
        database,
        balance_report(cash={"CNY": "1"}, account=ACCOUNT),
        balance_report(cash={"CNY": "2"}, account=OTHER),
    )

    assert ({CNY: Decimal(1)}, {CNY: Decimal(2)}) == (balance(database), balance(database, OTHER))
    assert [] == imbalances(database)


def test_the_same_account_id_in_two_tenants_is_two_accounts(database: Database) -> None:
    elsewhere = AccountKey(tenant_key="another", app_id="cli_x", account_id=ACCOUNT.account_id)
    first, second = enter(
        database, balance_report(cash={"CNY": "1"}), balance_report(cash={"CNY": "2"}, account=elsewhere)
    )

    assert first.account_ref != second.account_ref
    assert [[(step(CNY, "0", "2"),)]] == [changes_of(database, elsewhere)]


def test_an_unknown_account_has_no_history(database: Database) -> None:
    assert [] == changes_of(database)


@pytest.mark.parametrize("amount", ["0.0001", "-12.3456", "10000000000000", "0.1"])
def test_amounts_come_back_exactly_as_they_went_in(database: Database, amount: str) -> None:
    enter(database, balance_report(cash={"CNY": amount}))

    assert {CNY: Decimal(amount)} == balance(database)


def test_a_balance_that_does_not_follow_from_its_changes_is_reported(database: Database) -> None:
    (entered,) = enter(database, balance_report(cash={"CNY": "700"}, points=5))
    database.write(
        lambda c: c.execute(sa.text("UPDATE balances SET amount = 1 WHERE kind = 'cash'"))
    ).result()
    wrong = Imbalance(
        account_ref=entered.account_ref, kind="cash", currency="CNY", changes_sum=7_000_000, balance=1
    )

    assert [wrong] == imbalances(database)


def test_a_balance_that_is_missing_is_reported(database: Database) -> None:
    (entered,) = enter(database, balance_report(points=5))
    database.write(lambda c: c.execute(sa.text("DELETE FROM balances"))).result()
    wrong = Imbalance(
        account_ref=entered.account_ref, kind="points", currency="", changes_sum=50_000, balance=0
    )

    assert [wrong] == imbalances(database)


_REPORTS = st.lists(
    st.builds(
        balance_report,
        account=st.sampled_from([ACCOUNT, OTHER]),
        modified_at=st.integers(T1, T1 + 3),
        reported_at=st.integers(T1, T1 + 3),
        points=st.integers(0, 2),
        cash=st.dictionaries(st.sampled_from(["CNY", "USD"]), st.sampled_from(["0", "1.5", "-2"])),
    ),
    min_size=1,
    max_size=12,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One file for all examples; each has accounts of its own in it."""
    opened = Database.open(f"sqlite:///{tmp_path_factory.mktemp('ledger')}/notifier.db")
    yield opened
    opened.close()


KnownBalance = dict[str, tuple[list[tuple[Snapshot, tuple[BalanceChange, ...]]], Amounts]]


def books_after(database: Database, batches: Sequence[Sequence[BalanceReport]]) -> KnownBalance:
    """By account, the end state after these batches, each one transaction; after each the books must agree."""
    accounts: dict[str, AccountKey] = {}
    for batch in batches:
        renamed = []
        for report in batch:
            name = report.account.account_id
            accounts.setdefault(name, replace(report.account, account_id=uuid4().hex))
            renamed.append(replace(report, account=accounts[name]))
        enter(database, *renamed)
        assert [] == imbalances(database)
    with database.read() as connection:
        return {
            name: (ledger.load_history(connection, account), balance(database, account))
            for name, account in accounts.items()
        }


@settings(deadline=None)
@given(_REPORTS, st.data())
def test_any_order_with_repeats_and_any_batches_end_in_the_same_books(
    shared: Database, reports: list[BalanceReport], data: st.DataObject
) -> None:
    repeats = data.draw(st.lists(st.sampled_from(reports), max_size=4))
    shuffled = data.draw(st.permutations([*reports, *repeats]))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(shuffled)), max_size=4)) | {len(shuffled)})
    batches = [shuffled[start:end] for start, end in zip([0, *cuts], cuts, strict=False)]
    in_order = sorted(reports, key=lambda r: (r.modified_at, r.reported_at, content_of(r.amounts)))

    assert books_after(shared, [in_order]) == books_after(shared, batches)
