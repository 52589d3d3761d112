"""Referrer: the person behind a referral account, as Feishu last told us."""

from dataclasses import dataclass

from notifier.clock import Millis
from notifier.domain.money import Amounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Referrer:
    """open_id: of our own app. Names as Feishu has them; untrusted text, may be empty."""

    open_id: str
    name_zh: str = ""
    name_en: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """The last answer to "whose account is this?". referrer is None when Feishu knows no such account."""

    referrer: Referrer | None
    looked_up_at: Millis

    def is_fresh(self, *, now: Millis, max_age: Millis) -> bool:
        return now - self.looked_up_at < max_age


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """An account at one moment. usable: Feishu says so in as many words; anything else is a no.

    referrer is None when the answer names nobody. at: when, by Feishu's clock (whole seconds); None when it
    does not say.
    """

    amounts: Amounts
    is_active: bool
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
