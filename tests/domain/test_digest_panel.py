"""Board: who may ask for many withdrawals at once. Whatever is missing or foreign is a no."""

from dataclasses import replace
from typing import Any

import pytest

from notifier.domain.digest_panel import Action, DigestPanel, PanelButton, Progress, Result, may_press
from notifier.domain.event import Click
from notifier.domain.withdrawal import CARD_LIVES_MS, DenialReason, WithdrawalState

NOW = 1_800_000_000_000
LEVER = PanelButton(
    action=Action.ALL,
    delivery_id=1,
    revision="0.0",
    tenant_key="tk",
    app_id="cli_x",
    group="hr",
    posted_at=NOW - 1000,
    message_id="om_1",
)
CLICK = Click(
    key="cb-1",
    button_ref="ref",
    open_id="ou_hr",
    operator_tenant="tk",
    tenant_key="tk",
    app_id="cli_x",
    message_id="om_1",
    chat_id="oc_hr",
)
OPERATORS = {"hr": ("ou_hr",), "finance": ("ou_other",)}


def test_a_listed_operator_of_the_group_may() -> None:
    assert may_press(CLICK, LEVER, operators=OPERATORS, now=NOW) is None


@pytest.mark.parametrize(
    "click, denied",
    [
        ({"open_id": ""}, DenialReason.NOBODY),
        ({"operator_tenant": "another"}, DenialReason.FOREIGN),
        ({"operator_tenant": "", "tenant_key": ""}, DenialReason.FOREIGN),
        ({"tenant_key": "another", "operator_tenant": "another"}, DenialReason.FOREIGN),
        ({"app_id": "cli_y"}, DenialReason.FOREIGN),
        ({"app_id": ""}, DenialReason.FOREIGN),
        ({"message_id": "om_2"}, DenialReason.OTHER_MESSAGE),
        ({"message_id": ""}, DenialReason.OTHER_MESSAGE),
        ({"open_id": "ou_stranger"}, DenialReason.NOT_YOURS),
        ({"open_id": "ou_other"}, DenialReason.NOT_YOURS),  # an operator, but of another group
    ],
)
def test_who_presses_or_where_from_is_not_right(click: dict[str, Any], denied: DenialReason) -> None:
    assert denied is may_press(replace(CLICK, **click), LEVER, operators=OPERATORS, now=NOW)


@pytest.mark.parametrize(
    "lever, denied",
    [
        ({"message_id": None}, DenialReason.UNKNOWN_BUTTON),
        ({"group": None}, DenialReason.NOT_YOURS),
        ({"group": "dissolved"}, DenialReason.NOT_YOURS),
        ({"tenant_key": "", "app_id": ""}, DenialReason.FOREIGN),
        ({"posted_at": NOW - CARD_LIVES_MS}, DenialReason.EXPIRED),
    ],
)
def test_a_card_that_is_not_right(lever: dict[str, object], denied: DenialReason) -> None:
    assert denied is may_press(CLICK, replace(LEVER, **lever), operators=OPERATORS, now=NOW)  # type: ignore[arg-type]


def test_where_nobody_says_who_they_are_the_same_silence_on_both_sides_is_no_match() -> None:
    silent = replace(CLICK, app_id="", tenant_key="", operator_tenant="")
    nameless = replace(LEVER, app_id="", tenant_key="")

    assert DenialReason.FOREIGN is may_press(silent, nameless, operators=OPERATORS, now=NOW)


def test_nobody_may_where_nobody_is_listed() -> None:
    assert DenialReason.NOT_YOURS is may_press(CLICK, LEVER, operators={}, now=NOW)


def test_what_is_left_and_what_failed_is_counted() -> None:
    progress = Progress(total=40, done=12, failed=1, skipped={}, running=True, by="ou_hr")
    result = Result(
        account_id="7", referrer=None, state=WithdrawalState.REFUSED, order_id="rn-1", amounts={}, again=True
    )

    assert 28 == progress.remaining
    assert 1 == DigestPanel(results=(result, replace(result, again=False))).failed
