"""Withdrawal: who may, what a click means, what becomes of a call that failed."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.account import Ownership, Referrer
from notifier.domain.delivery import MAX_PAUSE_MS
from notifier.domain.event import Click
from notifier.domain.money import POINTS, Amounts, Kind
from notifier.domain.withdrawal import (
    CARD_LIVES_MS,
    Authorization,
    Button,
    DenialReason,
    PressOutcome,
    Role,
    Withdrawal,
    WithdrawalState,
    after_failure,
    authorise,
    judge_press,
    may_repeat,
    withdrawable,
)
from notifier.errors import (
    AccountUnknown,
    AppSuspended,
    CallError,
    NotAuthorised,
    OutcomeUnknown,
    Refused,
    TemporaryFailure,
)
from support.builders import ACCOUNT, CNY, USD

NOW = 1_700_000_100_000
OPERATORS = {"hr": ("ou_op",), "sales": ("ou_sales",)}
CLICK = Click(
    key="ck-1",
    button_ref="ref-1",
    open_id="ou_lin",
    operator_tenant="tk",
    tenant_key="tk",
    app_id="cli_x",
    message_id="om_1",
    chat_id="oc_1",
)
BUTTON = Button(
    button_ref="ref-1",
    delivery_id=1,
    account_ref=1,
    account=ACCOUNT,
    withdrawal_count=0,
    amounts={CNY: Decimal("350.5")},
    posted_at=NOW - 60_000,
    message_id="om_1",
    group="hr",
    ownership=Ownership(referrer=Referrer(open_id="ou_lin"), looked_up_at=NOW),
    is_active=True,
)
ORDER = Withdrawal(
    id=1,
    order_id="rn-1",
    account_ref=1,
    account=ACCOUNT,
    kinds=(Kind.CASH,),
    state=WithdrawalState.REQUESTED,
    withdrawal_count=0,
    requested_by="ou_lin",
    delivery_id=1,
    agreed={CNY: Decimal("350.5")},
    role=Role.REFERRER,
    requested_at=NOW,
    attempts=1,
)


# who may

DENIALS = [
    pytest.param(DenialReason.NOBODY, replace(CLICK, open_id=""), BUTTON, id="no operator"),
    pytest.param(DenialReason.UNKNOWN_BUTTON, CLICK, None, id="no such button"),
    pytest.param(
        DenialReason.FOREIGN, replace(CLICK, operator_tenant="other"), BUTTON, id="operator of another tenant"
    ),
    pytest.param(
        DenialReason.FOREIGN, replace(CLICK, operator_tenant=""), BUTTON, id="operator without tenant"
    ),
    pytest.param(
        DenialReason.FOREIGN, replace(CLICK, tenant_key="other"), BUTTON, id="callback of another tenant"
    ),
    pytest.param(DenialReason.FOREIGN, replace(CLICK, tenant_key=""), BUTTON, id="callback without tenant"),
    pytest.param(DenialReason.FOREIGN, replace(CLICK, app_id="cli_y"), BUTTON, id="another app"),
    pytest.param(DenialReason.FOREIGN, replace(CLICK, app_id=""), BUTTON, id="no app"),
    pytest.param(
        DenialReason.FOREIGN,
        CLICK,
        replace(BUTTON, account=replace(ACCOUNT, tenant_key="other")),
        id="account of another tenant",
    ),
    pytest.param(
        DenialReason.UNCONFIRMED,
        CLICK,
        replace(BUTTON, message_id=None, is_unconfirmed=True),
        id="message not known to us yet",
    ),
    pytest.param(
        DenialReason.UNKNOWN_BUTTON, CLICK, replace(BUTTON, message_id=None), id="message never known to us"
    ),
    pytest.param(DenialReason.OTHER_MESSAGE, replace(CLICK, message_id="om_2"), BUTTON, id="forwarded card"),
    pytest.param(
        DenialReason.OTHER_MESSAGE, replace(CLICK, message_id=""), BUTTON, id="callback without message"
    ),
    pytest.param(
        DenialReason.EXPIRED, CLICK, replace(BUTTON, posted_at=NOW - CARD_LIVES_MS), id="14 days old"
    ),
    pytest.param(
        DenialReason.REFERRER_UNKNOWN, CLICK, replace(BUTTON, ownership=None), id="nobody asked for the owner"
    ),
    pytest.param(
        DenialReason.REFERRER_UNKNOWN,
        CLICK,
        replace(BUTTON, ownership=Ownership(referrer=None, looked_up_at=NOW)),
        id="Feishu knows no owner",
    ),
    pytest.param(
        DenialReason.REFERRER_UNKNOWN,
        replace(CLICK, open_id="ou_op"),
        replace(BUTTON, ownership=None),
        id="operator, owner unknown",
    ),
    pytest.param(DenialReason.NOT_YOURS, replace(CLICK, open_id="ou_stranger"), BUTTON, id="stranger"),
    pytest.param(
        DenialReason.NOT_YOURS, replace(CLICK, open_id="ou_sales"), BUTTON, id="operator of another group"
    ),
    pytest.param(
        DenialReason.NOT_YOURS,
        replace(CLICK, open_id="ou_op"),
        replace(BUTTON, group=None),
        id="operator on a card in a person's chat",
    ),
    pytest.param(
        DenialReason.NOT_YOURS,
        replace(CLICK, open_id="ou_op"),
        replace(BUTTON, group="unlisted"),
        id="group without operators",
    ),
    pytest.param(DenialReason.DEACTIVATED, CLICK, replace(BUTTON, is_active=False), id="deactivated account"),
    pytest.param(
        DenialReason.DEACTIVATED,
        replace(CLICK, open_id="ou_op"),
        replace(BUTTON, is_active=False),
        id="operator, deactivated account",
    ),
]


@pytest.mark.parametrize("denial_reason, click, button", DENIALS)
def test_one_thing_that_is_wrong_is_a_no(
    denial_reason: DenialReason, click: Click, button: Button | None
) -> None:
    assert Authorization(denial_reason=denial_reason) == authorise(
        click, button, operators=OPERATORS, now=NOW
    )


def test_every_reason_for_a_no_has_its_click_above() -> None:
    assert set(DenialReason) == {parameters.values[0] for parameters in DENIALS}


@pytest.mark.parametrize(
    "role, open_id, button",
    [
        pytest.param(Role.REFERRER, "ou_lin", BUTTON, id="referrer in a group"),
        pytest.param(Role.REFERRER, "ou_lin", replace(BUTTON, group=None), id="referrer in their own chat"),
        pytest.param(Role.REFERRER, "ou_lin", replace(BUTTON, is_active=None), id="nobody asked if active"),
        pytest.param(Role.OPERATOR, "ou_op", BUTTON, id="operator of the group"),
        pytest.param(Role.OPERATOR, "ou_sales", replace(BUTTON, group="sales"), id="the other group's"),
        pytest.param(
            Role.REFERRER, "ou_lin", replace(BUTTON, posted_at=NOW - CARD_LIVES_MS + 1), id="just in time"
        ),
    ],
)
def test_who_may_is_told_as_whom(role: Role, open_id: str, button: Button) -> None:
    click = replace(CLICK, open_id=open_id)

    assert Authorization(role=role) == authorise(click, button, operators=OPERATORS, now=NOW)


def test_a_referrer_who_is_an_operator_too_acts_as_the_referrer() -> None:
    assert Role.REFERRER is authorise(CLICK, BUTTON, operators={"hr": ("ou_lin",)}, now=NOW).role


def test_an_account_of_no_tenant_belongs_to_no_callback() -> None:
    """Two that say nothing are not the same."""
    click = replace(CLICK, tenant_key="", operator_tenant="")
    button = replace(BUTTON, account=replace(ACCOUNT, tenant_key=""))

    assert DenialReason.FOREIGN is authorise(click, button, operators=OPERATORS, now=NOW).denial_reason


def test_a_message_of_no_name_is_no_message_of_ours() -> None:
    click, button = replace(CLICK, message_id=""), replace(BUTTON, message_id="")

    assert DenialReason.OTHER_MESSAGE is authorise(click, button, operators=OPERATORS, now=NOW).denial_reason


_people = st.sampled_from(["", "ou_lin", "ou_op", "ou_sales", "ou_stranger"])
_groups = st.sampled_from(["hr", "sales"])


@given(
    open_id=_people,
    owner=st.none() | _people,
    group=st.none() | _groups,
    operators=st.dictionaries(_groups, st.sets(_people)),
    is_active=st.none() | st.booleans(),
    message_id=st.none() | st.sampled_from(["", "om_1", "om_2"]),
)
def test_nobody_but_the_owner_and_the_groups_operators_is_ever_permitted(
    open_id: str,
    owner: str | None,
    group: str | None,
    operators: dict[str, set[str]],
    is_active: bool | None,  # noqa: FBT001 - Hypothesis hands it over
    message_id: str | None,
) -> None:
    known = Referrer(open_id=owner) if owner is not None else None
    button = replace(
        BUTTON,
        ownership=Ownership(referrer=known, looked_up_at=NOW),
        group=group,
        is_active=is_active,
        message_id=message_id,
    )
    verdict = authorise(replace(CLICK, open_id=open_id), button, operators=operators, now=NOW)

    is_owner = open_id == owner
    is_listed = group is not None and open_id in operators.get(group, set())
    assert (verdict.role is None) != (verdict.denial_reason is None)
    if verdict.role is not None:
        assert is_owner or is_listed
        assert (open_id, message_id) != ("", "om_2")
        assert message_id == CLICK.message_id
        assert open_id


# what a click means

CASH = {CNY: Decimal(350)}
NOTHING: Amounts = {}
ONLY_POINTS = {POINTS: Decimal(120)}
MINUS = {CNY: Decimal(-5)}
BOTH = (Kind.POINTS, Kind.CASH)


@pytest.mark.parametrize(
    "means, button_count, unfinished, holdings, kinds",
    [
        (PressOutcome.BEGIN, 2, False, CASH, BOTH),
        (PressOutcome.BEGIN, 2, False, CASH, (Kind.CASH,)),
        (PressOutcome.BEGIN, 2, False, ONLY_POINTS, (Kind.POINTS,)),
        (PressOutcome.EMPTY, 2, False, {CNY: Decimal(-5), USD: Decimal("0.01")}, (Kind.CASH,)),
        (PressOutcome.BEGIN, 2, False, {CNY: Decimal(-5), POINTS: Decimal(1)}, BOTH),
        (PressOutcome.EMPTY, 2, False, NOTHING, BOTH),
        (PressOutcome.EMPTY, 2, False, MINUS, BOTH),
        (PressOutcome.EMPTY, 2, False, {CNY: Decimal(0)}, BOTH),
        (PressOutcome.EMPTY, 2, False, ONLY_POINTS, (Kind.CASH,)),
        (PressOutcome.EMPTY, 2, False, CASH, (Kind.POINTS,)),
        (PressOutcome.EMPTY, 2, False, CASH, ()),
        (PressOutcome.STALE, 1, False, CASH, BOTH),
        (PressOutcome.DONE, 1, False, NOTHING, BOTH),
        (PressOutcome.DONE, 1, False, MINUS, BOTH),
        (PressOutcome.DONE, 1, False, ONLY_POINTS, (Kind.CASH,)),
        (PressOutcome.BUSY, 2, True, CASH, BOTH),
        (PressOutcome.BUSY, 2, True, NOTHING, BOTH),
        (PressOutcome.BUSY, 1, True, CASH, BOTH),
        (PressOutcome.BUSY, 1, True, NOTHING, BOTH),
    ],
)
def test_what_a_permitted_click_comes_to(
    means: PressOutcome,
    button_count: int,
    unfinished: bool,  # noqa: FBT001 - one column of the table
    holdings: Amounts,
    kinds: tuple[Kind, ...],
) -> None:
    button = replace(BUTTON, withdrawal_count=button_count, amounts=withdrawable(holdings, kinds))

    assert means is judge_press(
        button, withdrawal_count=2, unfinished=unfinished, holdings=holdings, kinds=kinds
    )


@pytest.mark.parametrize(
    "offered",
    [
        {CNY: Decimal("350.49")},
        {CNY: Decimal("350.51")},
        {USD: Decimal("350.5")},
        {CNY: Decimal("350.5"), POINTS: Decimal(120)},
        {},
    ],
)
def test_a_press_agrees_to_the_amounts_that_its_card_offers_and_to_no_others(offered: Amounts) -> None:
    held = {CNY: Decimal("350.50")}
    button = replace(BUTTON, amounts=offered)

    assert PressOutcome.STALE is judge_press(
        button, withdrawal_count=0, unfinished=False, holdings=held, kinds=BOTH
    )


@pytest.mark.parametrize(
    "available, is_in_ledger, may",
    [
        ({}, False, True),  # whatever the first call did, a repeat finds nothing to withdraw
        ({CNY: Decimal("350.5")}, False, True),
        ({CNY: Decimal("850.5")}, False, False),
        ({CNY: Decimal(50)}, False, False),
        (
            {CNY: Decimal("850.5")},
            True,
            False,
        ),  # HR may have removed the amount, and the first call done nothing
    ],
)
def test_a_call_without_an_answer_is_repeated_only_where_it_cannot_withdraw_another_amount(
    available: Amounts,
    is_in_ledger: bool,  # noqa: FBT001 - one column of the table
    may: bool,  # noqa: FBT001 - one column of the table
) -> None:
    assert may is may_repeat(replace(ORDER, is_in_ledger=is_in_ledger), available)


def test_a_kind_with_a_negative_amount_is_not_taken() -> None:
    """Feishu withdraws every currency of a kind at once."""
    holdings = {CNY: Decimal("350.5"), USD: Decimal(-1), POINTS: Decimal(120)}

    assert {POINTS: Decimal(120)} == withdrawable(holdings, BOTH)
    assert {} == withdrawable(holdings, (Kind.CASH,))
    assert {CNY: Decimal("350.5")} == withdrawable({**holdings, USD: Decimal(0)}, (Kind.CASH,))


# what becomes of a call that failed


def test_a_clear_no_ends_the_order() -> None:
    step = after_failure(ORDER, Refused("no", code=1002555, log_id="log-1"), now=NOW, jitter=0)

    assert (WithdrawalState.REFUSED, None, "no", 1002555, "log-1") == (
        step.state,
        step.unknown_since,
        step.reason,
        step.code,
        step.log_id,
    )


@pytest.mark.parametrize("error", [Refused("no"), AccountUnknown("no such account")])
def test_a_no_after_an_unknown_outcome_ends_nothing(error: CallError) -> None:
    """The first call may have moved the money."""
    step = after_failure(replace(ORDER, unknown_since=NOW - 5_000), error, now=NOW, jitter=0)

    assert (WithdrawalState.REQUESTED, NOW - 5_000) == (step.state, step.unknown_since)
    assert step.due_at > NOW


@pytest.mark.parametrize(
    "error, unknown_since",
    [
        (OutcomeUnknown("timeout"), NOW),
        (TemporaryFailure("busy"), None),
        (NotAuthorised("no token"), None),
        (AppSuspended("no calls left this month"), None),
    ],
)
def test_what_is_not_a_clear_no_is_asked_again(error: CallError, unknown_since: int | None) -> None:
    step = after_failure(ORDER, error, now=NOW, jitter=0)

    assert (WithdrawalState.REQUESTED, unknown_since) == (step.state, step.unknown_since)


@pytest.mark.parametrize(
    "error", [OutcomeUnknown("timeout"), TemporaryFailure("busy"), NotAuthorised("no token")]
)
def test_the_first_unknown_outcome_is_remembered(error: CallError) -> None:
    step = after_failure(replace(ORDER, unknown_since=7), error, now=NOW, jitter=0)

    assert (WithdrawalState.REQUESTED, 7) == (step.state, step.unknown_since)


def test_the_pause_that_feishu_asks_for_is_the_least() -> None:
    step = after_failure(ORDER, TemporaryFailure("slow", retry_after_seconds=42.5), now=NOW, jitter=0)

    assert NOW + 42_500 == step.due_at


def test_a_short_pause_that_feishu_asks_for_does_not_shorten_ours() -> None:
    late = replace(ORDER, attempts=30)
    step = after_failure(late, TemporaryFailure("slow", retry_after_seconds=1), now=NOW, jitter=1)

    assert NOW + MAX_PAUSE_MS == step.due_at


def test_the_pause_grows_and_is_bounded() -> None:
    pauses = [
        after_failure(replace(ORDER, attempts=tries), OutcomeUnknown("?"), now=0, jitter=1).due_at
        for tries in (1, 2, 3, 5, 10, 40, 10_000)
    ]

    assert sorted(pauses) == pauses
    assert [1_000, 2_000, 4_000, 16_000] == pauses[:4]
    assert MAX_PAUSE_MS == pauses[-1]


def test_an_order_is_known_to_feishu_from_its_first_call_on() -> None:
    assert (False, True) == (replace(ORDER, attempts=0).called, ORDER.called)
