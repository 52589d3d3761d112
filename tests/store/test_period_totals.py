"""Books: sums of a period, each against figures worked out by hand or by another way."""

from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifier.domain.digest import AssetFlow
from notifier.domain.event import AccountKey
from notifier.domain.money import POINTS, Asset, Kind
from notifier.store import ledger
from notifier.store.digests import period_totals, rankings
from notifier.store.digests.period_totals import TimeRange
from notifier.store.engine.database import Database
from notifier.store.schema.tables import accounts, metadata, withdrawals
from support.builders import CNY, USD, balance_report
from support.withdrawal_rows import create_withdrawn_order

DAY = TimeRange(from_at=1_000_000, to_at=2_000_000)


def account(number: int) -> AccountKey:
    return AccountKey(tenant_key="tk", app_id="cli_x", account_id=f"{7_000_000_000_000_000_000 + number}")


def enter(database: Database, number: int, at: int, *, points: int = 0, **cash: str) -> None:
    report = balance_report(cash=cash, points=points, modified_at=at, account=account(number))
    database.write(lambda c: ledger.apply_reports(c, [(1, report)])).result()


def flows(database: Database, stretch: TimeRange = DAY) -> dict[Asset, AssetFlow]:
    with database.read() as connection:
        return period_totals.compute_flows(connection, stretch)


def test_a_period_is_split_into_what_came_what_went_and_what_was_there(database: Database) -> None:
    enter(database, 1, 500_000, CNY="100")
    enter(database, 1, 1_000_000, CNY="350.50")
    enter(database, 1, 1_999_999, CNY="300")
    enter(database, 2, 1_500_000, CNY="80", points=5)
    enter(database, 1, 2_000_000, CNY="1000")
    enter(database, 2, 2_100_000, CNY="50")

    found = flows(database)

    assert found[CNY] == AssetFlow(
        opening=Decimal(100),
        first_seen=Decimal(80),
        rewards=Decimal("250.5"),
        corrections=Decimal("-50.5"),
        net=Decimal(280),
        closing=Decimal(380),
        later=Decimal(670),
        steps=3,
    )
    assert found[POINTS].first_seen == Decimal(5)
    assert all(flow.adds_up for flow in found.values())


def test_both_ends_of_a_period_are_exact(database: Database) -> None:
    enter(database, 1, 900_000, CNY="1")
    for at, amount in ((999_999, "2"), (1_000_000, "4"), (1_999_999, "8"), (2_000_000, "16")):
        enter(database, 1, at, CNY=amount)

    assert Decimal(6) == flows(database)[CNY].net
    assert Decimal(2) == flows(database)[CNY].opening
    assert Decimal(8) == flows(database)[CNY].closing


def test_what_we_withdrew_is_no_correction_and_a_reward_that_came_with_it_is_counted(
    database: Database,
) -> None:
    key = account(1)
    enter(database, 1, 500_000, CNY="350.50")
    order = create_withdrawn_order(database, account=key, at=1_200_000)
    _seen(database, order.id, 1_300_000)
    enter(database, 1, 1_300_000, CNY="100")  # 350.50 taken, 100 earned meanwhile

    flow = flows(database)[CNY]

    assert (Decimal("350.5"), Decimal(100), Decimal(0)) == (flow.withdrawn, flow.rewards, flow.corrections)
    assert flow.adds_up


def test_a_withdrawal_whose_report_belongs_to_another_period_is_counted_there(database: Database) -> None:
    enter(database, 1, 500_000, CNY="350.50")
    order = create_withdrawn_order(database, account=account(1), at=1_999_999)
    _seen(database, order.id, 2_000_100)
    enter(database, 1, 2_000_100)

    assert Decimal(0) == flows(database)[CNY].withdrawn
    assert Decimal("350.5") == flows(database, TimeRange(from_at=2_000_000, to_at=3_000_000))[CNY].withdrawn


def _seen(database: Database, order: int, at: int) -> None:
    statement = sa.update(withdrawals).where(withdrawals.c.id == order).values(ledger_modified_at=at)
    database.write(lambda c: c.execute(statement).rowcount).result()


def test_books_that_do_not_agree_say_so(database: Database) -> None:
    enter(database, 1, 500_000, CNY="100")
    enter(database, 1, 1_500_000, CNY="200")
    database.write(lambda c: c.execute(sa.text("UPDATE balances SET amount = amount + 1")).rowcount).result()

    assert not flows(database)[CNY].adds_up


def test_the_largest_of_every_asset_are_listed_in_turns(database: Database) -> None:
    for number, amount in enumerate(("10", "30", "20"), start=1):
        enter(database, number, 1_500_000, CNY=amount)
    enter(database, 4, 1_500_000, USD="1", points=9)

    with database.read() as connection:
        holders = rankings.list_largest_holders(connection, kinds=tuple(Kind), limit=3)
        count = rankings.count_holders(connection, kinds=tuple(Kind))
        changed = rankings.list_most_changed(connection, DAY, limit=2)

    assert ["2", "4", "3"] == [holder.account_id[-1] for holder in holders]
    assert {USD: Decimal(1), POINTS: Decimal(9)} == holders[1].amounts
    assert 4 == count
    assert [Decimal(30), Decimal(1)] == [next(iter(holder.amounts.values())) for holder in changed]


def test_an_account_that_ends_where_it_began_is_no_large_change(database: Database) -> None:
    enter(database, 1, 500_000, CNY="100")
    enter(database, 1, 1_400_000, CNY="900")
    enter(database, 1, 1_500_000, CNY="100")

    with database.read() as connection:
        assert () == rankings.list_most_changed(connection, DAY, limit=5)
        assert 1 == rankings.count_changed_accounts(connection, DAY)
        assert 1 == rankings.count_cancelled_out(connection, DAY)


amounts = st.lists(
    st.tuples(
        st.integers(1, 4),  # account
        st.integers(0, 3_000_000),  # when
        st.dictionaries(st.sampled_from(["CNY", "USD"]), st.integers(0, 500), max_size=2),
        st.integers(0, 50),  # points
    ),
    max_size=25,
)


@given(reports=amounts)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happened_in_whatever_order_the_books_agree(
    database: Database, reports: list[tuple[int, int, dict[str, int], int]]
) -> None:
    _empty(database)
    for number, at, cash, points in reports:
        enter(database, number, at, points=points, **{code: str(amount) for code, amount in cash.items()})

    found = flows(database)
    with database.read() as connection:
        rows = list(period_totals.iter_account_totals(connection, DAY))
    by_asset = {asset: [row.flow for row in rows if row.asset == asset] for asset in found}

    assert all(flow.adds_up for flow in found.values())
    for asset, flow in found.items():
        for part in (
            "opening",
            "first_seen",
            "rewards",
            "withdrawn",
            "corrections",
            "net",
            "closing",
            "later",
        ):
            assert getattr(flow, part) == sum(getattr(each, part) for each in by_asset[asset]), part


def _empty(database: Database) -> None:
    def clear(connection: sa.Connection) -> None:
        for table in reversed(metadata.sorted_tables):
            connection.execute(sa.delete(table))

    database.write(clear).result()


@pytest.mark.parametrize("number", [1, 3])
def test_figures_of_chosen_accounts_are_theirs_alone(database: Database, number: int) -> None:
    for each in (1, 2, 3):
        enter(database, each, 1_500_000, CNY=str(each * 100))
    with database.read() as connection:
        ref = connection.execute(
            sa.select(accounts.c.id).where(accounts.c.account_id == account(number).account_id)
        ).scalar_one()

        rows = list(period_totals.iter_account_totals(connection, DAY, account_refs=[ref]))

    assert [(ref, Decimal(number * 100))] == [(row.account_ref, row.flow.closing) for row in rows]
