"""Card state: what a posted card shows now, and a delivery with all that its card needs."""

from dataclasses import dataclass

from notifier.domain.account import Ownership
from notifier.domain.delivery import CardVariant, Delivery
from notifier.domain.digest import Digest
from notifier.domain.digest_panel import DigestPanel
from notifier.domain.event import AccountKey
from notifier.domain.money import Amounts
from notifier.domain.notice import Notice
from notifier.domain.payout import Payout
from notifier.domain.withdrawal import Withdrawal


@dataclass(frozen=True, slots=True, kw_only=True)
class CardState:
    """ref: of the card's button, "" for none. withdrawal: the one that the card tells about; payout: its money."""

    button_ref: str
    holdings: Amounts
    withdrawal: Withdrawal | None
    payout: Payout | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedCard:
    """A card that hangs in a chat. rung: how much of it Feishu took. has_other_referrer: it offered a balance in
    the private chat of somebody whose account this is no more; what happens to it since is not theirs to read.
    """

    delivery_id: int
    account_ref: int | None
    target: str
    reroute_reason: str | None
    variant: CardVariant
    message_id: str | None
    ownership: Ownership | None
    notices: tuple[Notice, ...]
    card_state: CardState | None
    account: AccountKey | None = None
    has_other_referrer: bool = False
    digest: Digest | None = None
    panel: DigestPanel | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedDelivery:
    """A delivery that is ours to send, with all that its card needs."""

    delivery: Delivery
    attempt_id: int
    account: AccountKey | None
    ownership: Ownership | None
    notices: tuple[Notice, ...]
    card_state: CardState | None = None
    digest: Digest | None = None
    panel: DigestPanel | None = None
