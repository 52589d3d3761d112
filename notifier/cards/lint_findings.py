"""What the card linter reports: findings, their severity, and their place in a file."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    """Feishu refuses the card, a click fails, or content is lost. A card with an error is not sent."""
    WARNING = "warning"
    """The card is shown differently on some clients, or the behaviour is deprecated or unconfirmed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LintPlace:
    """A position in a file. Lines and columns are counted from 1, in characters."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def as_json(self) -> dict[str, Any]:
        """Return the place as JSON."""
        return {"file": self.file, "line": self.line, "column": self.column}


@dataclass(frozen=True, slots=True, kw_only=True)
class LintFinding:
    """One broken rule of card JSON."""

    rule: str
    """The id of the rule, such as element-limit; `notifier.cards.rules.catalogue` has all."""
    severity: Severity
    """The severity of the rule."""
    path: str
    """Where in the card, such as body.elements[2].text.content; "card" for the card as a whole."""
    message: str
    """What is wrong with this card, in one sentence."""
    remedy: str
    """What to do about it."""
    place: LintPlace | None
    """The position in the template or JSON file. None: the card came from Python, or the position is not known."""
    called_from: tuple[LintPlace, ...] = ()
    """For a place inside a macro: where the macro was called, the nearest first."""
    sample: str = ""
    """For a template: the sample whose card shows the fault; `notifier preview` renders it. Empty: no sample."""

    def as_json(self) -> dict[str, Any]:
        """Return the finding as JSON."""
        place = None if self.place is None else self.place.as_json()
        return {
            "rule": self.rule,
            "severity": self.severity.value,
            "path": self.path,
            "message": self.message,
            "remedy": self.remedy,
            "place": place,
            "called_from": [each.as_json() for each in self.called_from],
            "sample": self.sample,
            "link": link_to_rule(self.rule),
        }


def link_to_rule(rule: str) -> str:
    """Return the address of the rule's section in the documentation."""
    return f"docs/card-rules.md#{rule}"


def name_explanation(rule: str) -> str:
    """Return the command that explains a rule."""
    return f"notifier lint --explain {rule}"
