"""Referrer: the person behind a referral account, as Feishu last told us."""

from dataclasses import dataclass

from notifier.clock import Millis


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
