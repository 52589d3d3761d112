"""Hire: what Feishu Hire says of a referral account when asked, and of a withdrawal it booked."""

from dataclasses import dataclass

from notifier.clock import Millis
from notifier.domain.account import Referrer
from notifier.domain.money import Amounts


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """An account at one moment. usable: Feishu says so in as many words; anything else is a no.

    referrer is None when the answer names nobody. at: when, by Feishu's clock (whole seconds); None when it
    does not say.
    """

    amounts: Amounts
    usable: bool
    referrer: Referrer | None
    at: Millis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """A booked order; a repeat of its id tells the same again.

    order_id: as Feishu echoes it, "" when it does not. at: when it was booked, None when unreadable.
    amounts: what was taken, zeros left out; empty when there was nothing.
    """

    order_id: str
    at: Millis | None
    amounts: Amounts
