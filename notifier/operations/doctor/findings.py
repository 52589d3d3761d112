"""The findings of `notifier doctor`: what was examined, with which result, and what to do about a problem."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from notifier.domain.card import Bilingual
from notifier.operations.language import Language, say

NOTHING = Bilingual(zh="", en="")


class FindingState(StrEnum):
    """The result of one examination."""

    OK = "ok"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the list."""

    id: str
    """Stable id, such as `token` or `scope.im:resource`."""
    state: FindingState
    """The result."""
    subject: Bilingual
    """What was found."""
    remedy: Bilingual = NOTHING
    """What to do; empty if there is nothing to do."""
    needs: str = ""
    """The id of the finding whose problem prevents this examination; "" if none does."""

    def as_json(self, language: Language) -> dict[str, Any]:
        """The finding as JSON, with its texts in one language."""
        return {
            "id": self.id,
            "state": self.state.value,
            "subject": say(self.subject, language),
            "remedy": say(self.remedy, language),
            "needs": self.needs,
        }


def ok(finding_id: str, zh: str, en: str) -> Finding:
    """Return a finding without a problem."""
    return Finding(id=finding_id, state=FindingState.OK, subject=Bilingual(zh=zh, en=en))


def problem(finding_id: str, zh: str, en: str, remedy: Bilingual) -> Finding:
    """Return a problem with its remedy."""
    return Finding(id=finding_id, state=FindingState.PROBLEM, subject=Bilingual(zh=zh, en=en), remedy=remedy)


def unknown(finding_id: str, zh: str, en: str, remedy: Bilingual = NOTHING) -> Finding:
    """Return what cannot be proven, with how to see it."""
    return Finding(id=finding_id, state=FindingState.UNKNOWN, subject=Bilingual(zh=zh, en=en), remedy=remedy)


def blocked(finding_id: str, needs: str) -> Finding:
    """Return what cannot be examined before another problem is solved. needs: the id of that problem."""
    return Finding(
        id=finding_id,
        state=FindingState.UNKNOWN,
        subject=Bilingual(zh=f"{finding_id}：需先解决 {needs}", en=f"{finding_id}: needs {needs}"),
        needs=needs,
    )


@dataclass(slots=True)
class Findings:
    """The findings so far, by id. A later stage reads what an earlier one found."""

    expected: Sequence[str]
    """The ids in the order of the list; every one of them gets a finding."""
    found: list[Finding] = field(default_factory=list)
    """The findings in the order of their examination."""

    def add(self, *findings: Finding) -> None:
        """Add findings."""
        self.found.extend(findings)

    def replace(self, finding: Finding) -> None:
        """Replace the finding of the same id by one that is proven."""
        self.found = [finding if each.id == finding.id else each for each in self.found]

    def has_problem(self, finding_id: str) -> bool:
        """Whether this one is a problem."""
        return any(each.id == finding_id and each.state is FindingState.PROBLEM for each in self.found)

    def has(self, finding_id: str) -> bool:
        """Whether this one was examined."""
        return any(each.id == finding_id for each in self.found)

    def block(self, finding_ids: Iterable[str], needs: str) -> None:
        """Mark those that were not examined as waiting for another problem."""
        self.add(*(blocked(each, needs) for each in finding_ids if not self.has(each)))

    def block_rest(self, needs: str) -> None:
        """Mark everything that was not examined as waiting for another problem."""
        self.block(self.expected, needs)

    def in_order(self) -> list[Finding]:
        """All findings in the order of the list."""
        places = {each: place for place, each in enumerate(self.expected)}
        return sorted(self.found, key=lambda each: places.get(each.id, -1))
