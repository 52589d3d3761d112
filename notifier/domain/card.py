"""Card: the values that a template may use to render notices.

Every template receives one variable, `card`. Its fields are the classes below; docs/templates.md shows them with
examples. The texts in them are data: a template cannot turn them into markup.
"""

from dataclasses import dataclass

from notifier.clock import Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Bilingual:
    """One text in Chinese and English. Feishu shows the one that fits the reader's language."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person as a card shows them."""

    open_id: str
    """For a person component."""
    name: Bilingual
    """Cleaned and shortened; never empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountLine:
    """One asset on the card. The amounts of our own withdrawals are in neither `before` nor `delta`: `before` is
    `after` minus `delta`.
    """

    kind: str
    """`points` or `cash`."""
    currency: str
    """ISO 4217 code, or the text that Feishu sent; empty for points."""
    label: Bilingual
    """Name of the asset."""
    before: str | None
    """Earlier balance, formatted like `after`; None: nothing to compare with."""
    delta: str | None
    """Difference with its sign; None: nothing to compare with."""
    after: str
    """New balance, formatted for people (¥1,200.00)."""
    trend: str
    """`up`, `down` or `flat`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeStep:
    """One of several changes that one card shows."""

    occurred_at: Millis
    """Unix milliseconds."""
    lines: tuple[AmountLine, ...]
    """The assets that changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountFigure:
    """One amount of a withdrawal."""

    label: Bilingual
    """Name of the asset."""
    text: str
    """The amount, formatted for people (¥1,200.00)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalPanel:
    """The part of a card that shows the withdrawal of a balance."""

    state: str
    """`offered`, `processing`, `withdrawn`, `nothing` (there was nothing to withdraw), `refused`, `ended` (by an
    operator), `amount_changed` (the balance was not the confirmed one, so nothing was withdrawn), `superseded` (a
    newer card in the chat shows it) or `deactivated` (the account is deactivated, so there is no button).
    After `withdrawn` follow `sent` (the company's system accepted the payout), `paid` and `failed` (as it reported).
    """
    ref: str = ""
    """Opaque id of the button, the only content of the button's value; "": no button."""
    amounts: tuple[AmountFigure, ...] = ()
    """The amounts that can be, are being or were withdrawn. In `refused`: the amounts that the button would withdraw.
    """
    order_id: str = ""
    """Short form of the order id; "": no order yet."""
    by: str = ""
    """open_id of the person who requested the withdrawal; "": no order yet."""
    at: Millis | None = None
    """When Feishu booked the withdrawal, Unix milliseconds; None: not booked, or the time is not known."""
    at_text: str = ""
    """The same time in the configured time zone; "" if `at` is None."""
    settled_at: Millis | None = None
    """When the payout was reported as paid or failed, Unix milliseconds."""
    settled_at_text: str = ""
    """The same time in the configured time zone; "" if `settled_at` is None."""
    reference: str = ""
    """Reference of the payroll system, in `paid` and `failed`; "": it gave none."""
    reason: Bilingual | None = None
    """Why nothing was withdrawn, why the payment failed, or where to look instead; None in every other state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceChangeCard:
    """What `balance_change.json.j2` and `balance_change_compact.json.j2` may use, as `card`."""

    direction: str
    """`increase`, `decrease`, `mixed` (some amounts up, some down) or `opening` (first balance of an account, no
    deltas).
    """
    audience: str
    """`referrer` (the card goes to the person) or `group`."""
    account_id: str
    """Feishu's account id, numeric text."""
    referrer: Person | None
    """The person behind the account; None: Feishu names nobody."""
    lines: tuple[AmountLine, ...]
    """All changes combined, with the balance after the newest one."""
    steps: tuple[ChangeStep, ...] = ()
    """Each change separately, oldest first; empty if there is only one."""
    hidden_steps: int = 0
    """Number of older changes that are not listed because the card has no room."""
    occurred_at: Millis
    """Time of the newest change, Unix milliseconds. In <local_datetime>, Feishu shows it in the reader's own time
    zone.
    """
    occurred_at_text: str
    """The same time in the configured time zone, for places that cannot hold a component."""
    reroute_reason: Bilingual | None = None
    """Why the card did not go to its intended recipient; None: it did."""
    withdrawal: WithdrawalPanel | None = None
    """The withdrawal part of the card; None: the card has none."""
    recovered: bool = False
    """True if no event reported the newest change. A reading of the account found it, and `occurred_at` is the time
    of that reading.
    """
    withdrawn_since: tuple[AmountFigure, ...] = ()
    """On a card that waited because of its reader's preferences: the amounts withdrawn since its first change. The
    balances in `lines` are then those at the end of the wait.
    """
    contact: Bilingual | None = None
    """The operator's text from `cards.contact`; None: empty."""
    payday: Bilingual | None = None
    """The operator's text from `cards.payday`; None: empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalCard:
    """What `withdrawal.json.j2` and `withdrawal_compact.json.j2` may use, as `card`: one withdrawal and its payout."""

    alarm: str
    """"" for a card that only shows the current state. `late` (not paid for days) or `dead` (the company's system
    does not accept the payout) for a card that needs attention.
    """
    days: int
    """Days since the withdrawal, for `late`."""
    audience: str
    """As on a BalanceChangeCard."""
    account_id: str
    """As on a BalanceChangeCard."""
    referrer: Person | None
    """As on a BalanceChangeCard."""
    withdrawal: WithdrawalPanel
    """The current state of the withdrawal. Its `ref` is always ""."""
    reroute_reason: Bilingual | None = None
    """As on a BalanceChangeCard."""
    contact: Bilingual | None = None
    """As on a BalanceChangeCard."""
    payday: Bilingual | None = None
    """As on a BalanceChangeCard."""
    payroll_contact: Bilingual | None = None
    """The operator's text from `payouts.contact`, for HR's cards about a payout with a problem; None: empty."""
