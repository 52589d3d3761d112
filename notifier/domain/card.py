"""Card: the rendered form of notices, and what a template may use to make it.

Every template gets one variable, `card`. Its fields are the classes below; docs/templates.md shows them with
examples. Texts in them are data: wherever a template puts them, they stay text.
"""

from dataclasses import dataclass

from notifier.clock import Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Bilingual:
    """One text in the two languages of our cards; Feishu picks by the reader's language."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """open_id: for a person component. name: cleaned and shortened; never empty."""

    open_id: str
    name: Bilingual


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountLine:
    """One asset on the card.

    kind: points or cash. currency: ISO code, or as Feishu sent it; empty for points. label: its name.
    after: the balance, as people write it (¥1,200.00). before, delta: the same, delta with its sign; None
    where there is nothing to compare with. What our own withdrawal took meanwhile is in neither: before is after
    less delta. trend: up, down, or flat.
    """

    kind: str
    currency: str
    label: Bilingual
    before: str | None
    delta: str | None
    after: str
    trend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeStep:
    """One of several changes that share this card. occurred_at: milliseconds since the epoch, UTC."""

    occurred_at: Millis
    lines: tuple[AmountLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountFigure:
    """One amount of a withdrawal. label: what it is of. text: the amount as people write it (¥1,200.00)."""

    label: Bilingual
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalPanel:
    """What the card says about withdrawing the balance.

    state: offered, processing, withdrawn, nothing (there was nothing to take) or refused; after withdrawn come
    sent (the company's system has it), paid and failed (that system says so). ref: the opaque id that goes into
    the button's value, alone; "" where there is no button. amounts: what can be, is being or was taken; in
    refused, what the button would take. order_id, by: the short form of the order id and the open_id of who asked for it; "" while
    there is no order. at: when Feishu booked it, milliseconds since the epoch, UTC; at_text: the same moment in
    the configured time zone, "" when at is None. settled_at, settled_at_text: the same for when it was reported
    paid or failed. reference: the paying system's, in paid and failed; "" when it gave none. reason: why Feishu
    refused, or why the payment failed; None in every other state.
    """

    state: str
    ref: str = ""
    amounts: tuple[AmountFigure, ...] = ()
    order_id: str = ""
    by: str = ""
    at: Millis | None = None
    at_text: str = ""
    settled_at: Millis | None = None
    settled_at_text: str = ""
    reference: str = ""
    reason: Bilingual | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceChangeCard:
    """What `balance_change.json.j2` and `balance_change_compact.json.j2` may use, as `card`.

    direction: increase, decrease, mixed (some up, some down) or opening (first sight, no deltas).
    audience: referrer (the card goes to the person) or group. account_id: Feishu's, numeric text.
    referrer: whose account it is; None when Feishu does not say. lines: all changes in one, up to after
    the last. steps: each change by itself, oldest first, when there are several; else empty.
    hidden_steps: older steps not listed for want of room. occurred_at: of the latest change, milliseconds
    since the epoch, UTC: put it into <local_datetime> and each reader sees the own time zone.
    occurred_at_text: the same moment in the configured time zone, where a component cannot be used.
    reroute_reason: why this did not go to the referrer; None when it did. withdrawal: what the card says about
    withdrawing the balance; None where it says nothing. recovered: no event told us of the latest change; a read of
    the account did, and occurred_at is when.
    """

    direction: str
    audience: str
    account_id: str
    referrer: Person | None
    lines: tuple[AmountLine, ...]
    steps: tuple[ChangeStep, ...] = ()
    hidden_steps: int = 0
    occurred_at: Millis
    occurred_at_text: str
    reroute_reason: Bilingual | None = None
    withdrawal: WithdrawalPanel | None = None
    recovered: bool = False
    contact: Bilingual | None = None
    """The operator's own line from `cards.contact`; None if it is empty."""
    payday: Bilingual | None = None
    """The operator's own line from `cards.payday`; None if it is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalCard:
    """What `withdrawal.json.j2` and `withdrawal_compact.json.j2` may use, as `card`: one withdrawal and its money.

    alarm: "" for a card that only tells how it stands; late (not paid for days) or dead (the company's system will
    not take it) for one that calls for somebody. days: since the withdrawal, for late. audience, account_id,
    referrer, reroute_reason: as on a BalanceChangeCard. withdrawal: how it stands now. Its ref is always "".
    """

    alarm: str
    days: int
    audience: str
    account_id: str
    referrer: Person | None
    withdrawal: WithdrawalPanel
    reroute_reason: Bilingual | None = None
    contact: Bilingual | None = None
    """As on a BalanceChangeCard."""
    payday: Bilingual | None = None
    """As on a BalanceChangeCard."""
