"""AnswerCard: the values that a template may use to render the answer to a question."""

from dataclasses import dataclass

from notifier.clock import Millis
from notifier.domain.card import AmountFigure, Bilingual, Person, WithdrawalPanel


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLine:
    """A change of the balance, or a withdrawal."""

    at: Millis
    """When it happened, Unix milliseconds."""
    at_text: str
    """The same time in the configured time zone."""
    amounts: tuple[AmountFigure, ...]
    """The changes with their signs, or the amounts of the withdrawal."""
    trend: str = "flat"
    """Of a change: `up`, `down`, or `flat` for the first known balance and for changes in both directions."""
    is_opening: bool = False
    """Whether it is the first known balance of the account."""
    state: str = ""
    """State of the withdrawal, as on a WithdrawalPanel; "": a change of the balance."""
    order_id: str = ""
    """Short form of the order id; "": a change of the balance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCard:
    """What `answer.json.j2` and `answer_compact.json.j2` may use, as `card`: the answer to a message to the bot."""

    kind: str
    """What was asked: `balance`, `withdraw`, `history` or `help`. Or `no_account` (the person has no account) or
    `unavailable` (Feishu does not say whose account it is).
    """
    audience: str = "referrer"
    """Always `referrer`: an answer with figures goes to nobody else."""
    account_id: str = ""
    """Feishu's account id; "": the card is not about an account."""
    amounts: tuple[AmountFigure, ...] = ()
    """The balance, in `balance` and `withdraw`. A zero if there is none."""
    balance_at: Millis | None = None
    """When the balance was read, Unix milliseconds; None: not known."""
    balance_at_text: str = ""
    """The same time in the configured time zone; "" if `balance_at` is None."""
    is_stored: bool = False
    """True if Feishu could not be asked: the balance is the stored one, reported at `balance_at`."""
    is_deactivated: bool = False
    """True if the account is deactivated."""
    no_offer: str = ""
    """Why nothing can be withdrawn: `empty`, `below_minimum`, `not_offered` or `deactivated`; "": something can."""
    withdrawal: WithdrawalPanel | None = None
    """The withdrawal part of the card; None: the card has none."""
    history: tuple[HistoryLine, ...] = ()
    """Newest first. In `balance` and `withdraw`: the withdrawals that are not paid yet."""
    has_more_history: bool = False
    """Whether there are older changes that are not listed."""
    hidden_accounts: int = 0
    """Number of further accounts of the person that get no card."""
    asked_at: Millis | None = None
    """When the question was asked, Unix milliseconds, if that was more than 15 minutes ago; None: it was not."""
    asked_at_text: str = ""
    """The same time in the configured time zone; "" if `asked_at` is None."""
    has_withdrawals: bool = False
    """Whether cards offer withdrawals to referrers, for `help`."""
    has_settings: bool = False
    """Whether the command `settings` is offered, for `help`."""
    referrer: Person | None = None
    """The person; None: the card is not about an account."""
    contact: Bilingual | None = None
    """The operator's text from `cards.contact`; None: empty."""
    payday: Bilingual | None = None
    """The operator's text from `cards.payday`; None: empty."""
