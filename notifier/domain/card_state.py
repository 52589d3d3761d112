"""Card state: what a posted card shows now, and a delivery with everything that its card needs."""

from dataclasses import dataclass

from notifier.domain.account import Ownership
from notifier.domain.answers.answer import Answer
from notifier.domain.delivery import CardVariant, Delivery
from notifier.domain.digest import Digest
from notifier.domain.digest_panel import DigestPanel
from notifier.domain.event import AccountKey
from notifier.domain.money import Amounts
from notifier.domain.notice import Notice
from notifier.domain.payout import Payout
from notifier.domain.preferences.choices import CardLanguage
from notifier.domain.preferences.settings_state import SettingsState
from notifier.domain.withdrawal import Withdrawal


@dataclass(frozen=True, slots=True, kw_only=True)
class CardState:
    """What the withdrawal part of a posted card shows now."""

    button_ref: str
    """Opaque id of the card's button; "": no button."""
    holdings: Amounts
    """The balance that the card shows."""
    withdrawal: Withdrawal | None
    """The withdrawal that the card shows; None: none."""
    payout: Payout | None = None
    """The payout of that withdrawal; None: none yet."""
    is_superseded: bool = False
    """Whether a newer card in the same chat offers the balance or shows the withdrawal. Then this one does neither."""
    is_deactivated: bool = False
    """Whether the card offers nothing because the account is deactivated, which it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedBalance:
    """What an account held when a notice that waited for its reader was released."""

    amounts: Amounts
    """The balance at the release."""
    withdrawn: Amounts
    """The amounts withdrawn between the first notice and the release."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedCard:
    """A card that was posted to a chat and can still be updated."""

    delivery_id: int
    """Row id of the delivery that posted the card."""
    account_ref: int | None
    """Row id of the account; None: the card is not about a single account."""
    target: str
    """`referrer` or the name of a group."""
    reroute_reason: str | None
    """Why the card did not go to its intended recipient; None: it did."""
    variant: CardVariant
    """The variant that Feishu accepted."""
    message_id: str | None
    """Feishu's id of the message; None: not known."""
    ownership: Ownership | None
    """The newest answer about the referrer; None: never looked up."""
    notices: tuple[Notice, ...]
    """The notices that the card shows."""
    card_state: CardState | None
    """State of its withdrawal part; None: it has none."""
    account: AccountKey | None = None
    """The account at Feishu; None: the card is not about a single account."""
    has_other_referrer: bool = False
    """True if the card offered a balance in the private chat of a person who is no longer the referrer of the
    account. Later changes must not be shown to that person.
    """
    is_correction: bool = False
    """Whether the card replaces an earlier one, which it says."""
    digest: Digest | None = None
    """The digest that the card shows; None: it shows notices."""
    panel: DigestPanel | None = None
    """The withdrawal panel of the digest; None: it has none."""
    language: CardLanguage = CardLanguage.FEISHU
    """The language that its reader chose."""
    settings: SettingsState | None = None
    """What the settings card shows; None: it is none."""
    answer: Answer | None = None
    """The answer that the message shows; None: it shows notices or a digest."""
    released: ReleasedBalance | None = None
    """The balance when its notices were released; None: they did not wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedDelivery:
    """A delivery that this worker has claimed, with everything that its card needs."""

    delivery: Delivery
    """The delivery to send."""
    attempt_id: int
    """Row id of the attempt that is recorded for this claim."""
    account: AccountKey | None
    """The account at Feishu; None: the card is not about a single account."""
    ownership: Ownership | None
    """The newest answer about the referrer; None: never looked up."""
    notices: tuple[Notice, ...]
    """The notices that the card shows."""
    card_state: CardState | None = None
    """State of its withdrawal part; None: it has none."""
    digest: Digest | None = None
    """The digest that the card shows; None: it shows notices."""
    panel: DigestPanel | None = None
    """The withdrawal panel of the digest; None: it has none."""
    language: CardLanguage = CardLanguage.FEISHU
    """The language that its reader chose."""
    settings: SettingsState | None = None
    """What the settings card shows; None: it is none."""
    answer: Answer | None = None
    """The answer that the message shows; None: it shows notices or a digest."""
    released: ReleasedBalance | None = None
    """The balance when its notices were released; None: they did not wait."""
