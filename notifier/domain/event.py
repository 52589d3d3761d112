"""Event: a payload that Feishu sent, stored once per idempotency key."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from notifier.clock import Millis
from notifier.domain.money import Amounts

BALANCE_CHANGED = "hire.referral_account.assets_update_v1"
BALANCE_READ = "notifier.balance_read"
"""Our own event type for a balance that a reading of the account found and no event reported."""
BALANCE_MISSED = "notifier.balance_missed"
"""The same, if it is the first proof of missed events: the balance changed while the service was connected."""
READINGS = frozenset({BALANCE_READ, BALANCE_MISSED})
UNREADABLE = "unreadable"
"""Our own event type for payloads that are not a JSON object with a header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One payload as received, before it is parsed."""

    key: str
    """`header.event_id` (the same on redelivery), or a hash of the payload if there is none."""
    event_type: str
    """Feishu's event type, or one of the types above."""
    tenant_key: str
    """Tenant that sent it."""
    app_id: str
    """App that it was sent to."""
    created_at: Millis
    """`header.create_time`, Unix milliseconds; 0: missing."""
    payload: bytes = field(repr=False)
    """The bytes, with every token emptied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountKey:
    """Identifies a referral account. Feishu does not promise that account ids are unique across tenants and apps."""

    tenant_key: str
    app_id: str
    account_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceReport:
    """The balance of one account after a change, from an event or from a reading of the account."""

    account: AccountKey
    """The account."""
    modified_at: Millis
    """Time of the change, Unix milliseconds; the only order that Feishu gives."""
    reported_at: Millis
    """When the event was created, Unix milliseconds; decides between equal times."""
    amounts: Amounts
    """The full balance in canonical form, without zeros."""


CARD_CLICKED = "card.action.trigger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """A press of a card button. Each field is "" if the payload does not contain it; a check must then deny the
    request.
    """

    key: str
    """Idempotency key of the callback."""
    button_ref: str
    """Opaque id in the value of the button."""
    open_id: str
    """The person who pressed the button."""
    operator_tenant: str
    """Tenant of that person."""
    tenant_key: str
    """Tenant of the callback."""
    app_id: str
    """App of the callback."""
    message_id: str
    """The message that contains the card."""
    chat_id: str
    """The chat that contains the card."""
    option: str = ""
    """Opaque id that was chosen in the select beside the button."""
    form: Mapping[str, str] = field(default_factory=dict)
    """The texts of the form with the button, by name."""
