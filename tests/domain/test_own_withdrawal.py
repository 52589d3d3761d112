"""The balance event of our own withdrawal is recognised, and only what came besides is left to tell."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.money import POINTS, Amounts, Kind
from notifier.domain.withdrawal import Role, Withdrawal, WithdrawalState, reflects, subtract_own_withdrawals
from support.builders import ACCOUNT, CNY, USD, change

AT = 1_700_000_000_000
TOOK: Amounts = {CNY: Decimal(850)}
WITHDRAWN = Withdrawal(
    id=1,
    order_id="rn-1",
    account_ref=1,
    account=ACCOUNT,
    kinds=(Kind.POINTS, Kind.CASH),
    state=WithdrawalState.WITHDRAWN,
    withdrawal_count=0,
    requested_by="ou_lin",
    delivery_id=1,
    agreed=TOOK,
    role=Role.REFERRER,
    requested_at=AT - 1_000,
    attempts=1,
    expected=TOOK,
    withdrawn=TOOK,
    withdrawn_at=AT,
)
UNDER_WAY = replace(WITHDRAWN, state=WithdrawalState.REQUESTED, withdrawn=None, withdrawn_at=None)
LOSS = (change(CNY, "850", "0"),)
GAIN = (change(CNY, "850", "900"),)


@pytest.mark.parametrize(
    "withdrawal, changes, modified_at, expected",
    [
        (WITHDRAWN, LOSS, AT, True),
        (WITHDRAWN, LOSS, AT - 4_000, True),
        (WITHDRAWN, LOSS, AT - 6_000, False),
        (WITHDRAWN, GAIN, AT, False),
        (WITHDRAWN, GAIN, AT + 60_000, True),
        (UNDER_WAY, LOSS, AT, True),
        (UNDER_WAY, GAIN, AT + 60_000, False),
        (UNDER_WAY, LOSS, AT - 5 * 60_000, True),  # our clock is ahead of Feishu's
        (UNDER_WAY, LOSS, AT - 11 * 60_000, False),
        (UNDER_WAY, (change(CNY, "850", "10"),), AT, False),
        (replace(WITHDRAWN, withdrawn={}), LOSS, AT, False),
    ],
)
def test_a_report_made_after_the_withdrawal_reflects_it(
    withdrawal: Withdrawal, changes: tuple[object, ...], modified_at: int, *, expected: bool
) -> None:
    assert expected is reflects(withdrawal, changes, modified_at=modified_at)  # type: ignore[arg-type]


def test_the_withdrawal_alone_leaves_nothing_to_tell() -> None:
    assert () == subtract_own_withdrawals(LOSS, {}, TOOK)


def test_a_reward_that_came_with_it_is_told_as_what_it_is() -> None:
    told = subtract_own_withdrawals((change(CNY, "850", "70"),), {CNY: Decimal(70)}, TOOK)

    assert (change(CNY, "0", "70"),) == told


def test_a_reward_that_hides_the_withdrawal_is_told_in_full() -> None:
    """The same amount came again: Feishu's balance did not change at all."""
    assert (change(CNY, "0", "850"),) == subtract_own_withdrawals((), {CNY: Decimal(850)}, TOOK)


def test_what_was_not_withdrawn_is_told_as_ever() -> None:
    changes = (change(CNY, "850", "0"), change(USD, "10", "4"))

    assert (change(USD, "10", "4"),) == subtract_own_withdrawals(changes, {USD: Decimal(4)}, TOOK)


def test_what_the_ledger_had_seen_before_is_not_counted_twice() -> None:
    """The withdrawal's own event was not recognised; the reward after it is told as what it is."""
    assert (change(CNY, "0", "50"),) == subtract_own_withdrawals(
        (change(CNY, "0", "50"),), {CNY: Decimal(50)}, TOOK
    )


def test_a_ledger_that_was_behind_is_owed_no_less_than_nothing() -> None:
    assert () == subtract_own_withdrawals((change(CNY, "800", "0"),), {}, TOOK)


AMOUNTS = st.dictionaries(
    st.sampled_from([POINTS, CNY, USD]), st.integers(0, 10_000).map(lambda cents: Decimal(cents) / 100)
)


@given(before=AMOUNTS, gained=AMOUNTS)
def test_whatever_comes_besides_is_exactly_what_is_told(before: Amounts, gained: Amounts) -> None:
    from notifier.domain.ledger import differences  # noqa: PLC0415 - beside what it proves

    told = subtract_own_withdrawals(differences(before, gained), gained, before)

    assert {a: v for a, v in gained.items() if v} == {each.asset: each.delta for each in told}
