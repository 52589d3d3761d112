"""The result of one check, as `notifier check` prints it."""

from dataclasses import dataclass
from typing import Any

from notifier.domain.card import Bilingual
from notifier.operations.formatting import pad
from notifier.operations.language import say

NOTHING = Bilingual(zh="", en="")
OK = Bilingual(zh="正常", en="ok")
PROBLEM = Bilingual(zh="问题", en="PROBLEM")
UNKNOWN = Bilingual(zh="无法检查", en="UNKNOWN")
SIGN_WIDTH = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """Result of one check.

    next_step: what to do if the check failed. is_checkable: False if nothing can be said; then is_ok means nothing.
    """

    is_ok: bool
    subject: Bilingual
    next_step: Bilingual = NOTHING
    is_checkable: bool = True

    @property
    def is_problem(self) -> bool:
        """Whether the check failed."""
        return self.is_checkable and not self.is_ok

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON."""
        state = ("ok" if self.is_ok else "problem") if self.is_checkable else "unknown"
        return {"state": state, "subject": self.subject, "next_step": self.next_step}

    def as_line(self) -> str:
        """Return the result as one line in the language of the locale, with the next step after a problem."""
        sign = (OK if self.is_ok else PROBLEM) if self.is_checkable else UNKNOWN
        next_step = f" -> {say(self.next_step)}" if self.next_step.en else ""
        return f"{pad(say(sign), SIGN_WIDTH)} {say(self.subject)}{next_step}"
