"""The result of one check, as `notifier check` prints it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """Result of one check.

    next_step: what to do if the check failed. is_checkable: False if nothing can be said; then is_ok means nothing.
    """

    is_ok: bool
    subject: str
    next_step: str = ""
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
        """Return the result as one line, with the next step after a problem."""
        label = ("ok      " if self.is_ok else "PROBLEM ") if self.is_checkable else "UNKNOWN "
        next_step = f" -> {self.next_step}" if self.next_step else ""
        return f"{label} {self.subject}{next_step}"
