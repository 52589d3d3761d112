"""Event: what Feishu told us, once per idempotency key. First thing on the way."""

from dataclasses import dataclass, field

from notifier.clock import Millis
from notifier.domain.money import Amounts

BALANCE_CHANGED = "hire.referral_account.assets_update_v1"
BALANCE_READ = "notifier.balance_read"
"""Our own event type for a balance that no event told us: a read of the account did."""
BALANCE_MISSED = "notifier.balance_missed"
"""The same, where it is the first proof that we are deaf: it changed while we were connected."""
READINGS = frozenset({BALANCE_READ, BALANCE_MISSED})
UNREADABLE = "unreadable"
"""Our own event type for payloads that are no JSON object with a header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One payload as received, before anybody has tried to understand it.

    key: header.event_id (the same on redelivery), or a digest of the payload where there is none.
    created_at: header.create_time, 0 where absent. payload: the bytes as they came.
    """

    key: str
    event_type: str
    tenant_key: str
    app_id: str
    created_at: Millis
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountKey:
    """A referral account is unique per person, tenant and app; its id alone is not promised to be."""

    tenant_key: str
    app_id: str
    account_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceReport:
    """The balance of one account after a change, as an event or a read of the account tells it.

    modified_at: the only ordering hint Feishu gives. reported_at: when the event was made; it breaks ties.
    amounts: the full set of holdings, canonical (no zeros).
    """

    account: AccountKey
    modified_at: Millis
    reported_at: Millis
    amounts: Amounts


CARD_CLICKED = "card.action.trigger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """key: the callback's idempotency key. ref: the opaque id in the button's value. option: the opaque id that was
    chosen in a select beside it. open_id and operator_tenant:
    who pressed it. tenant_key and app_id: of the callback. message_id, chat_id: where the card hangs.

    Anything is "" where the payload does not say; whoever decides must take that for a no.
    """

    key: str
    button_ref: str
    open_id: str
    operator_tenant: str
    tenant_key: str
    app_id: str
    message_id: str
    chat_id: str
    option: str = ""
