"""Account: a referral account at Feishu, its referrer and its state."""

from dataclasses import dataclass

from notifier.clock import Millis
from notifier.domain.money import Amounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Referrer:
    """The person whom Feishu names for a referral account."""

    open_id: str
    """Their open_id in this app."""
    name_zh: str = ""
    """Chinese name at Feishu; untrusted text, may be empty."""
    name_en: str = ""
    """English name at Feishu; untrusted text, may be empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """The newest answer of Feishu about the referrer of an account."""

    referrer: Referrer | None
    """None: Feishu knows no such account."""
    looked_up_at: Millis
    """Time of the lookup, Unix milliseconds."""

    def is_fresh(self, *, now: Millis, max_age: Millis) -> bool:
        """Whether the answer is younger than `max_age`. now: Unix milliseconds. max_age: milliseconds."""
        return now - self.looked_up_at < max_age


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """The state of an account when it was read from Feishu."""

    amounts: Amounts
    """The balance."""
    is_active: bool
    """True only if Feishu explicitly reports the account as active."""
    referrer: Referrer | None
    """None: the answer names no referrer."""
    at: Millis | None = None
    """Time of the reading by Feishu's clock, whole seconds as Unix milliseconds; None: the answer has no time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """A withdrawal that Feishu booked. A repeated call with the same order id returns the same values."""

    order_id: str
    """The order id in Feishu's answer; "" if the answer has none."""
    at: Millis | None
    """When Feishu booked the withdrawal, Unix milliseconds; None: missing or not readable."""
    amounts: Amounts
    """The withdrawn amounts without zeros; empty if there was nothing to withdraw."""
