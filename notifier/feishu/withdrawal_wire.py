"""Conversion of Feishu's JSON of button presses, accounts and withdrawals to domain values."""

from typing import Any

from notifier.clock import Millis
from notifier.domain.account import AccountState, Withdrawn
from notifier.domain.event import Click, Event
from notifier.feishu.wire import (
    LONGEST_KEY,
    describe,
    json_object,
    millis_or_zero,
    read_assets,
    read_bonus,
    read_json,
    read_referrer,
    sanitize,
)

LONGEST_REF = 64
MOST_FIELDS = 20
"""A form with more fields is none of ours."""
ACCOUNT_SELECT_NAME = "account"
"""Form name of the account select on a digest card."""
ACTIVE_STATUS = 1
"""`status` of an account; 2 is deactivated."""


def read_click(event: Event) -> Click:
    """Read a card callback; never raises. A field that is missing or invalid becomes "".

    tenant_key and app_id come from the payload only: the event's own may be default values, and authorization
    must not rely on those.
    """
    body = _payload(event)
    header, inner = _member(body, "header"), _member(body, "event")
    operator, context = _member(inner, "operator"), _member(inner, "context")
    action = _member(inner, "action")
    value, form = _member(action, "value"), _member(action, "form_value")
    return Click(
        key=event.key,
        button_ref=_bounded_text(value.get("ref"), LONGEST_REF),
        open_id=_bounded_text(operator.get("open_id")),
        operator_tenant=_bounded_text(operator.get("tenant_key")),
        tenant_key=_bounded_text(header.get("tenant_key")),
        app_id=_bounded_text(header.get("app_id")),
        message_id=_bounded_text(context.get("open_message_id")),
        chat_id=_bounded_text(context.get("open_chat_id")),
        option=_bounded_text(form.get(ACCOUNT_SELECT_NAME), LONGEST_REF),
        form=_read_form(form),
    )


def _read_form(form: dict[str, Any]) -> dict[str, str]:
    """The texts of a form by name. Anything else is left out, such as the value of a field that nobody filled."""
    texts = {name: value for name, value in form.items() if isinstance(value, str)}
    is_plausible = len(texts) <= MOST_FIELDS and all(len(name) <= LONGEST_REF for name in texts)
    return {name: sanitize(value[:LONGEST_KEY]) for name, value in texts.items()} if is_plausible else {}


def _payload(event: Event) -> object:
    try:
        return read_json(event.payload)
    except ValueError:
        return None


def _member(parent: object, name: str) -> dict[str, Any]:
    child = parent.get(name) if isinstance(parent, dict) else None
    return child if isinstance(child, dict) else {}


def _bounded_text(value: object, most: int = LONGEST_KEY) -> str:
    """Return the text, or "" if it is too long. It is never truncated: a truncated id is a different id."""
    return sanitize(value) if isinstance(value, str) and len(value) <= most else ""


def read_account(account: object, *, at: Millis | None = None) -> AccountState:
    """Parse `account` of a get_account_assets response.

    at: when Feishu sent the response, in milliseconds. Raises ValueError, which names the path, if the assets are
    invalid.
    """
    account = json_object(account, "account")
    status = account.get("status")
    return AccountState(
        amounts=read_assets(account.get("assets"), "account.assets"),
        is_active=isinstance(status, int) and not isinstance(status, bool) and status == ACTIVE_STATUS,
        referrer=read_referrer(account),
        at=at,
    )


def read_withdrawn(data: object) -> Withdrawn:
    """Parse `data` of a withdraw response. Absent details mean that nothing was withdrawn. Raises ValueError."""
    data = json_object(data, "data")
    details = data.get("withdrawal_details")
    return Withdrawn(
        order_id=_echoed_order_id(data.get("external_order_id")),
        at=millis_or_zero(data.get("trans_time")) or None,
        amounts={} if details is None else read_bonus(details, "withdrawal_details"),
    )


def _echoed_order_id(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"external_order_id is {describe(value)}, not text")
    return sanitize(value)
