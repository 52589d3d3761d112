"""Board: who may ask for many withdrawals at once. Whatever is missing or foreign is a no."""

from dataclasses import replace

import pytest

from notifier.domain.digest_panel import Action, Board, Lever, Progress, Result, may_pull
from notifier.domain.event import Click
from notifier.domain.withdrawal import CARD_LIVES_MS, Denied, WithdrawalState

NOW = 1_800_000_000_000
LEVER = Lever(
    action=Action.ALL,
    delivery_id=1,
    round=0,
    tenant_key="tk",
    app_id="cli_x",
    group="hr",
    hung_at=NOW - 1000,
    message_id="om_1",
)
CLICK = Click(
    key="cb-1",
    ref="ref",
    open_id="ou_hr",
    operator_tenant="tk",
    tenant_key="tk",
    app_id="cli_x",
    message_id="om_1",
    chat_id="oc_hr",
)
OPERATORS = {"hr": ("ou_hr",), "finance": ("ou_other",)}


def test_a_listed_operator_of_the_group_may() -> None:
    assert may_pull(CLICK, LEVER, operators=OPERATORS, now=NOW) is None


@pytest.mark.parametrize(
    "click, denied",
    [
        ({"open_id": ""}, Denied.NOBODY),
        ({"operator_tenant": "another"}, Denied.FOREIGN),
        ({"operator_tenant": "", "tenant_key": ""}, Denied.FOREIGN),
        ({"tenant_key": "another", "operator_tenant": "another"}, Denied.FOREIGN),
        ({"app_id": "cli_y"}, Denied.FOREIGN),
        ({"app_id": ""}, Denied.FOREIGN),
        ({"message_id": "om_2"}, Denied.OTHER_MESSAGE),
        ({"message_id": ""}, Denied.OTHER_MESSAGE),
        ({"open_id": "ou_stranger"}, Denied.NOT_YOURS),
        ({"open_id": "ou_other"}, Denied.NOT_YOURS),  # an operator, but of another group
    ],
)
def test_who_presses_or_where_from_is_not_right(click: dict[str, str], denied: Denied) -> None:
    assert denied is may_pull(replace(CLICK, **click), LEVER, operators=OPERATORS, now=NOW)


@pytest.mark.parametrize(
    "lever, denied",
    [
        ({"message_id": None}, Denied.OTHER_MESSAGE),
        ({"group": None}, Denied.NOT_YOURS),
        ({"group": "dissolved"}, Denied.NOT_YOURS),
        ({"tenant_key": "", "app_id": ""}, Denied.FOREIGN),
        ({"hung_at": NOW - CARD_LIVES_MS}, Denied.EXPIRED),
    ],
)
def test_a_card_that_is_not_right(lever: dict[str, object], denied: Denied) -> None:
    assert denied is may_pull(CLICK, replace(LEVER, **lever), operators=OPERATORS, now=NOW)  # type: ignore[arg-type]


def test_where_nobody_says_who_they_are_the_same_silence_on_both_sides_is_no_match() -> None:
    silent = replace(CLICK, app_id="", tenant_key="", operator_tenant="")
    nameless = replace(LEVER, app_id="", tenant_key="")

    assert Denied.FOREIGN is may_pull(silent, nameless, operators=OPERATORS, now=NOW)


def test_nobody_may_where_nobody_is_listed() -> None:
    assert Denied.NOT_YOURS is may_pull(CLICK, LEVER, operators={}, now=NOW)


def test_what_is_left_and_what_failed_is_counted() -> None:
    progress = Progress(total=40, done=12, failed=1, left_out={}, running=True, by="ou_hr")
    result = Result(
        account_id="7", referrer=None, state=WithdrawalState.REFUSED, order_id="rn-1", amounts={}, again=True
    )

    assert 28 == progress.remaining
    assert 1 == Board(results=(result, replace(result, again=False))).failed
