"""The ledger's rules: reports in any order become one history whose changes add up."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.ledger import (
    BalanceChange,
    LedgerUpdate,
    Snapshot,
    content_of,
    differences,
    place_report,
    read_content,
)
from notifier.domain.money import POINTS, Amounts, Asset
from support.builders import CNY, USD

Identity = tuple[int, str]
Totals = dict[Asset, Decimal]


def balance(**amounts: int) -> Amounts:
    """points=, cny=, usd= in whole units."""
    assets = {"points": POINTS, "cny": CNY, "usd": USD}
    return {assets[name]: Decimal(amount) for name, amount in amounts.items()}


def snapshot(at: int, *, reported_at: int | None = None, **amounts: int) -> Snapshot:
    return Snapshot(
        modified_at=at,
        reported_at=at if reported_at is None else reported_at,
        content=content_of(balance(**amounts)),
    )


def step(asset: Asset, before: int, after: int) -> BalanceChange:
    return BalanceChange(asset=asset, before=Decimal(before), after=Decimal(after))


@dataclass
class KnownBalance:
    """A history in memory, kept as `place` says. told: the announcements, in order."""

    known: dict[Identity, Snapshot] = field(default_factory=dict)
    changes: dict[Identity, tuple[BalanceChange, ...]] = field(default_factory=dict)
    newest: Snapshot | None = None
    told: list[tuple[BalanceChange, ...]] = field(default_factory=list)
    openings: int = 0

    def take(self, report: Snapshot) -> LedgerUpdate | None:
        rewrite = place_report(
            report,
            earlier=max(
                (s for s in self.known.values() if s.modified_at < report.modified_at),
                key=lambda s: s.order,
                default=None,
            ),
            same_time=[s for s in self.known.values() if s.modified_at == report.modified_at],
            later=min(
                (s for s in self.known.values() if s.modified_at > report.modified_at),
                key=lambda s: s.order,
                default=None,
            ),
        )
        if rewrite is not None:
            self._follow(rewrite)
        return rewrite

    def _follow(self, rewrite: LedgerUpdate) -> None:
        self.known.update({(kept.modified_at, kept.content): kept for kept in rewrite.kept})
        self.changes.update({(s.modified_at, s.content): changes for s, changes in rewrite.changes})
        self.newest = rewrite.newest or self.newest
        self.openings += rewrite.is_opening
        if rewrite.changes_to_notify is not None:
            self.told.append(rewrite.changes_to_notify)

    @property
    def history(self) -> list[Snapshot]:
        return sorted(self.known.values(), key=lambda s: s.order)

    @property
    def balance(self) -> Totals:
        return self.newest.amounts if self.newest else {}


def books_of(reports: Iterable[Snapshot]) -> KnownBalance:
    books = KnownBalance()
    for report in reports:
        books.take(report)
    return books


def added_up(steps: Iterable[tuple[BalanceChange, ...]]) -> Totals:
    totals: Totals = {}
    for changes in steps:
        for change in changes:
            totals[change.asset] = totals.get(change.asset, Decimal(0)) + change.delta
    return {asset: total for asset, total in sorted(totals.items()) if total}


def assert_changes_add_up(books: KnownBalance) -> None:
    """Each step lies between its two neighbours, and all of them make the balance."""
    first, *_ = books.history
    expected = {(first.modified_at, first.content): differences({}, first.amounts)}
    for earlier, later in pairwise(books.history):
        expected[later.modified_at, later.content] = differences(earlier.amounts, later.amounts)

    assert expected == books.changes
    assert books.history[-1] == books.newest
    assert books.balance == added_up(books.changes.values())


def test_the_first_report_is_an_opening_and_told_in_full() -> None:
    books = KnownBalance()
    rewrite = books.take(snapshot(1, points=120, cny=350))

    assert rewrite is not None
    assert rewrite.is_opening
    assert (step(CNY, 0, 350), step(POINTS, 0, 120)) == rewrite.changes_to_notify


def test_an_empty_account_is_an_opening_with_nothing_in_it() -> None:
    rewrite = KnownBalance().take(snapshot(1))

    assert rewrite is not None
    assert rewrite.is_opening
    assert () == rewrite.changes_to_notify


def test_a_newer_report_is_told_as_the_difference_to_the_last() -> None:
    books = books_of([snapshot(1, points=120, cny=350)])
    rewrite = books.take(snapshot(2, points=120, cny=100, usd=5))

    assert rewrite is not None
    assert not rewrite.is_opening
    assert (step(CNY, 350, 100), step(USD, 0, 5)) == rewrite.changes_to_notify
    assert snapshot(2, points=120, cny=100, usd=5) == rewrite.newest


def test_an_asset_that_is_gone_has_gone_to_zero() -> None:
    rewrite = books_of([snapshot(1, cny=350)]).take(snapshot(2))

    assert rewrite is not None
    assert (step(CNY, 350, 0),) == rewrite.changes_to_notify


def test_a_newer_report_of_the_same_balance_is_kept_but_not_told() -> None:
    books = books_of([snapshot(1, cny=350)])
    rewrite = books.take(snapshot(2, cny=350))

    assert rewrite is not None
    assert rewrite.changes_to_notify is None
    assert snapshot(2, cny=350) == rewrite.newest


def test_a_late_report_splits_the_change_that_spanned_it_and_is_not_told() -> None:
    books = books_of([snapshot(1, cny=100), snapshot(3, cny=300)])
    late = snapshot(2, cny=250)
    rewrite = books.take(late)

    assert rewrite is not None
    assert (
        (late, (step(CNY, 100, 250),)),
        (snapshot(3, cny=300), (step(CNY, 250, 300),)),
    ) == rewrite.changes
    assert rewrite.changes_to_notify is None
    assert rewrite.newest is None
    assert {CNY: Decimal(300)} == books.balance


def test_a_report_older_than_all_becomes_the_start_and_is_no_opening() -> None:
    books = books_of([snapshot(2, cny=300)])
    rewrite = books.take(snapshot(1, cny=100))

    assert rewrite is not None
    assert not rewrite.is_opening
    assert rewrite.changes_to_notify is None
    assert (
        (snapshot(1, cny=100), (step(CNY, 0, 100),)),
        (snapshot(2, cny=300), (step(CNY, 100, 300),)),
    ) == rewrite.changes


def test_a_second_copy_of_a_report_changes_nothing() -> None:
    books = books_of([snapshot(1, cny=100), snapshot(2, cny=300)])

    assert books.take(snapshot(2, cny=300)) is None
    assert books.take(snapshot(1, cny=100)) is None
    assert books.take(snapshot(1, cny=100, reported_at=9)) is None


def test_two_balances_of_the_same_moment_are_ordered_by_when_they_were_reported() -> None:
    books = books_of([snapshot(1, cny=100, reported_at=5)])
    rewrite = books.take(snapshot(1, cny=300, reported_at=6))

    assert rewrite is not None
    assert (step(CNY, 100, 300),) == rewrite.changes_to_notify
    assert snapshot(1, cny=300, reported_at=6) == rewrite.newest


def test_an_earlier_balance_of_the_same_moment_is_not_told() -> None:
    books = books_of([snapshot(1, cny=300, reported_at=6)])
    rewrite = books.take(snapshot(1, cny=100, reported_at=5))

    assert rewrite is not None
    assert rewrite.changes_to_notify is None
    assert {CNY: Decimal(300)} == books.balance
    assert (step(CNY, 100, 300),) == books.changes[1, snapshot(1, cny=300).content]


def test_an_earlier_copy_of_a_known_balance_moves_it_and_is_not_told() -> None:
    books = books_of([snapshot(1, cny=100, reported_at=5), snapshot(1, cny=300, reported_at=4)])
    earlier_copy = snapshot(1, cny=100, reported_at=3)
    rewrite = books.take(earlier_copy)

    assert rewrite is not None
    assert rewrite.changes_to_notify is None
    assert [earlier_copy, snapshot(1, cny=300, reported_at=4)] == books.history
    assert {CNY: Decimal(300)} == books.balance
    assert_changes_add_up(books)


def test_equal_holdings_have_equal_content_whatever_their_order_and_digits() -> None:
    loose = {USD: Decimal(0), POINTS: Decimal(7), CNY: Decimal("1.50")}
    exact = {CNY: Decimal("1.5000"), POINTS: Decimal("7.0")}

    assert content_of(exact) == content_of(loose)
    assert exact == read_content(content_of(loose))


small_balances = st.fixed_dictionaries(
    {"points": st.integers(-1, 2), "cny": st.integers(-1, 2), "usd": st.sampled_from([0, 0, 5])}
)


def _snapshot_of(at: int, reported_at: int, amounts: Mapping[str, int]) -> Snapshot:
    return snapshot(at, reported_at=reported_at, **amounts)


reports = st.builds(_snapshot_of, st.integers(1, 4), st.integers(1, 4), small_balances)


@st.composite
def arrivals(draw: st.DrawFn) -> list[Snapshot]:
    """Reports, each perhaps several times, in any order: a copy says when the report was first made."""
    unique = draw(st.lists(reports, min_size=1, max_size=8, unique_by=lambda s: (s.modified_at, s.content)))
    copies = draw(st.lists(st.sampled_from(unique), max_size=8))
    return draw(st.permutations([*unique, *copies]))


@given(arrivals())
def test_any_order_and_repetition_of_reports_gives_the_same_history(arrived: list[Snapshot]) -> None:
    in_order = sorted(set(arrived), key=lambda s: s.order)
    books = books_of(arrived)

    assert in_order == books.history
    assert in_order[-1].amounts == books.balance
    assert books_of(in_order).changes == books.changes
    assert_changes_add_up(books)


@given(arrivals())
def test_what_is_told_adds_up_to_the_balance_in_any_order_of_arrival(arrived: list[Snapshot]) -> None:
    books = books_of(arrived)

    assert books.balance == added_up(books.told)
    assert 1 == books.openings


@given(arrivals())
def test_each_thing_told_starts_where_the_last_one_ended(arrived: list[Snapshot]) -> None:
    last: Totals = {}
    for changes in books_of(arrived).told:
        for change in changes:
            assert last.get(change.asset, Decimal(0)) == change.before
            assert change.before != change.after
            last[change.asset] = change.after


@given(st.data(), st.lists(reports, min_size=1, max_size=8))
def test_copies_reported_at_different_times_give_one_history_too(
    data: st.DataObject, arrived: list[Snapshot]
) -> None:
    shuffled = data.draw(st.permutations(arrived))

    assert books_of(arrived).history == books_of(shuffled).history
    assert books_of(arrived).changes == books_of(shuffled).changes
    assert_changes_add_up(books_of(shuffled))
