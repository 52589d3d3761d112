"""Card state: what a posted card shows now, and a delivery with all that its card needs."""

from dataclasses import dataclass

from notifier.domain.account import Ownership
from notifier.domain.delivery import Delivery, Rung
from notifier.domain.digest import Digest
from notifier.domain.digest_panel import Board
from notifier.domain.event import AccountKey
from notifier.domain.money import Amounts
from notifier.domain.notice import Notice
from notifier.domain.payout import Payout
from notifier.domain.withdrawal import Withdrawal


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """ref: of the card's button, "" for none. withdrawal: the one that the card tells about; payout: its money."""

    ref: str
    holdings: Amounts
    withdrawal: Withdrawal | None
    payout: Payout | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HungCard:
    """A card that hangs in a chat. rung: how much of it Feishu took. is_anothers: it offered a balance in
    the private chat of somebody whose account this is no more; what happens to it since is not theirs to read.
    """

    delivery_id: int
    account_ref: int | None
    target: str
    reroute_reason: str | None
    rung: Rung
    message_id: str | None
    owner: Ownership | None
    told: tuple[Notice, ...]
    face: Face | None
    account: AccountKey | None = None
    is_anothers: bool = False
    digest: Digest | None = None
    board: Board | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A delivery that is ours to send, with all that its card needs."""

    delivery: Delivery
    attempt_id: int
    account: AccountKey | None
    owner: Ownership | None
    told: tuple[Notice, ...]
    face: Face | None = None
    digest: Digest | None = None
    board: Board | None = None
