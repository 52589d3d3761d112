"""Routes: who is told about a notice, and why that one."""

from decimal import Decimal

import pytest

from notifier.domain.account import Referrer
from notifier.domain.ledger import BalanceChange
from notifier.domain.money import POINTS, Kind
from notifier.domain.notice import Direction, Notice, NoticeReason
from notifier.domain.route import (
    REFERRER,
    AddressBook,
    Condition,
    Recipient,
    RerouteReason,
    Route,
    parse_reroute_reason,
    targets_of,
)
from support.builders import ACCOUNT_ID, CNY, MODIFIED_AT, USD, change, notice

ANYTHING = Condition()
UP, DOWN, OPENING = Direction.INCREASE, Direction.DECREASE, Direction.OPENING


def of(
    *directions: Direction,
    kinds: tuple[Kind, ...] = (),
    currencies: tuple[str, ...] = (),
    accounts: tuple[str, ...] = (),
    least: str | None = None,
) -> Condition:
    return Condition(
        directions=frozenset(directions),
        kinds=frozenset(kinds),
        currencies=frozenset(currencies),
        accounts=frozenset(accounts),
        least_amount=None if least is None else Decimal(least),
    )


def opening(*changes: BalanceChange) -> Notice:
    return Notice(
        key="n-1",
        account=notice().account,
        reason=NoticeReason.OPENING,
        occurred_at=MODIFIED_AT,
        changes=changes,
    )


MORE_CNY = change(CNY, "700", "1200")
LESS_CNY = change(CNY, "1200", "700")
MORE_POINTS = change(POINTS, "0", "40")
LESS_USD = change(USD, "80", "0")


@pytest.mark.parametrize(
    "holds, condition, changes",
    [
        (True, ANYTHING, [MORE_CNY]),
        (True, of(UP), [MORE_CNY]),
        (False, of(UP), [LESS_CNY]),
        (True, of(DOWN), [LESS_CNY]),
        (True, of(UP, DOWN), [LESS_CNY]),
        (False, of(OPENING), [MORE_CNY]),
        (True, of(kinds=(Kind.CASH,)), [MORE_CNY]),
        (False, of(kinds=(Kind.CASH,)), [MORE_POINTS]),
        (True, of(kinds=(Kind.POINTS,)), [MORE_POINTS]),
        (True, of(currencies=("CNY",)), [MORE_CNY]),
        (False, of(currencies=("USD", "EUR")), [MORE_CNY]),
        (False, of(currencies=("CNY",)), [MORE_POINTS]),
        (True, of(accounts=(ACCOUNT_ID,)), [MORE_CNY]),
        (False, of(accounts=("7000000000000000002",)), [MORE_CNY]),
        (True, of(least="500"), [MORE_CNY]),
        (False, of(least="500.01"), [MORE_CNY]),
        (True, of(least="500"), [LESS_CNY]),
        (True, of(least="0"), [MORE_POINTS]),
    ],
)
def test_a_condition_holds_for_the_changes_it_names(
    holds: bool,  # noqa: FBT001 - a column of the table
    condition: Condition,
    changes: list[BalanceChange],
) -> None:
    assert holds is condition.holds_for(notice(*changes))


def test_all_parts_of_a_condition_must_hold_for_one_and_the_same_change() -> None:
    condition = of(UP, currencies=("USD",))

    assert not condition.holds_for(notice(MORE_CNY, LESS_USD))
    assert condition.holds_for(notice(MORE_CNY, change(USD, "0", "80")))


def test_one_fitting_change_among_several_is_enough() -> None:
    assert of(kinds=(Kind.POINTS,)).holds_for(notice(MORE_CNY, MORE_POINTS))


@pytest.mark.parametrize(
    "holds, condition",
    [
        (True, ANYTHING),
        (True, of(OPENING)),
        (False, of(UP)),
        (False, of(DOWN)),
        (True, of(OPENING, kinds=(Kind.CASH,), currencies=("CNY",))),
        (True, of(least="1200")),
        (False, of(least="1200.01")),
    ],
)
def test_an_opening_is_judged_by_its_balance_and_is_neither_up_nor_down(
    holds: bool,  # noqa: FBT001 - a column of the table
    condition: Condition,
) -> None:
    assert holds is condition.holds_for(opening(MORE_CNY))


@pytest.mark.parametrize(
    "holds, condition",
    [
        (True, ANYTHING),
        (True, of(OPENING)),
        (True, of(OPENING, accounts=(ACCOUNT_ID,))),
        (True, of(least="0")),
        (False, of(UP)),
        (False, of(accounts=("7000000000000000002",))),
        (False, of(kinds=(Kind.POINTS,))),
        (False, of(currencies=("CNY",))),
        (False, of(least="0.01")),
    ],
)
def test_an_empty_account_is_spoken_of_only_where_nothing_special_is_asked_for(
    holds: bool,  # noqa: FBT001 - a column of the table
    condition: Condition,
) -> None:
    assert holds is condition.holds_for(opening())


def route(name: str, when: Condition = ANYTHING, *targets: str, keep_going: bool = False) -> Route:
    return Route(name=name, when=when, targets=targets, keep_going=keep_going)


def test_the_first_route_that_fits_decides() -> None:
    routes = [route("down", of(DOWN), "audit"), route("up", of(UP), "hr"), route("all", ANYTHING, REFERRER)]

    assert ("hr",) == targets_of(notice(MORE_CNY), routes)


def test_a_route_that_keeps_going_lets_later_ones_add_to_it() -> None:
    routes = [
        route("up", of(UP), "hr", keep_going=True),
        route("all", ANYTHING, REFERRER),
        route("never asked", ANYTHING, "audit"),
    ]

    assert ("hr", REFERRER) == targets_of(notice(MORE_CNY), routes)


def test_a_route_that_does_not_fit_stops_nothing() -> None:
    routes = [route("down", of(DOWN), "audit"), route("all", ANYTHING, REFERRER)]

    assert (REFERRER,) == targets_of(notice(MORE_CNY), routes)


def test_each_target_is_told_once_in_the_order_of_the_routes() -> None:
    routes = [
        route("one", ANYTHING, "hr", REFERRER, keep_going=True),
        route("two", ANYTHING, "audit", "hr"),
    ]

    assert ("hr", REFERRER, "audit") == targets_of(notice(MORE_CNY), routes)


def test_nobody_is_told_what_nobody_asked_for() -> None:
    assert () == targets_of(notice(MORE_CNY), [route("down", of(DOWN), "hr")])
    assert () == targets_of(notice(MORE_CNY), [])


BOOK = AddressBook(groups={"hr": "oc_hr", "lost": "oc_lost"}, fallback="lost")
NO_FALLBACK = AddressBook(groups={"hr": "oc_hr"}, fallback=None)
LIN = Referrer(open_id="ou_lin")


def test_the_referrer_is_reached_by_open_id() -> None:
    assert Recipient(id_type="open_id", id="ou_lin") == BOOK.recipient(REFERRER, LIN)


@pytest.mark.parametrize("referrer", [LIN, None])
def test_a_group_is_reached_by_chat_id_whoever_the_referrer_is(referrer: Referrer | None) -> None:
    assert Recipient(id_type="chat_id", id="oc_hr") == BOOK.recipient("hr", referrer)


def test_the_fallback_hears_what_belongs_to_nobody_we_know_and_why() -> None:
    expected = Recipient(id_type="chat_id", id="oc_lost", reroute_reason=RerouteReason.ACCOUNT_UNKNOWN)

    assert expected == BOOK.recipient(REFERRER, None)


def test_without_a_fallback_nobody_is_left_to_tell() -> None:
    assert NO_FALLBACK.recipient(REFERRER, None) is None
    assert NO_FALLBACK.fallback_recipient(RerouteReason.UNREACHABLE) is None


def test_for_a_group_that_left_the_configuration_the_fallback_hears_it_by_name() -> None:
    fallback_recipient = BOOK.recipient("gone", LIN)

    assert fallback_recipient is not None
    assert BOOK.groups[str(BOOK.fallback)] == fallback_recipient.id
    assert fallback_recipient.reroute_reason is not None
    assert "group_unreachable: the configuration names no group gone" in fallback_recipient.reroute_reason


@pytest.mark.parametrize("reason", RerouteReason)
@pytest.mark.parametrize("code", [None, 230029])
def test_a_stored_reroute_reason_keeps_its_key_and_error_code(
    reason: RerouteReason, code: int | None
) -> None:
    assert (reason, code) == parse_reroute_reason(reason.with_details("User: 5 resigned", code=code))


def test_a_reroute_reason_needs_no_details() -> None:
    assert (RerouteReason.ACCOUNT_UNKNOWN, None) == parse_reroute_reason("account_unknown")
