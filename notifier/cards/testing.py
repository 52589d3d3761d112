"""For the tests of your own cards: an assertion that a card keeps the rules of card JSON 2.0.

```python
from notifier.cards.testing import assert_card_ok

def test_the_welcome_card() -> None:
    assert_card_ok(make_welcome_card(), allow={"summary-missing"})
```
"""

from collections.abc import Collection

from notifier.cards.lint_findings import LintFinding, Severity, name_explanation
from notifier.cards.linter import lint

__all__ = ["assert_card_ok"]


def assert_card_ok(card: object, *, allow: Collection[str] = (), warnings: bool = False) -> None:
    """Raise AssertionError, with every finding and its remedy, if a card breaks a rule.

    card: parsed JSON or JSON text. allow: ids of rules that it may break. warnings: whether a warning is a failure too.
    """
    __tracebackhide__ = True  # pytest shows the line of the caller
    found = [
        each
        for each in lint(card)
        if each.rule not in allow and (warnings or each.severity is Severity.ERROR)
    ]
    if found:
        lines = "\n".join(map(_as_line, found))
        raise AssertionError(
            f"the card breaks {len(found)} rule{'s' if len(found) > 1 else ''} of card JSON 2.0:\n{lines}"
        )


def _as_line(finding: LintFinding) -> str:
    place = f"{finding.place}: " if finding.place else ""
    return (
        f"  {place}{finding.severity} {finding.rule} {finding.path}: {finding.message}\n"
        f"    {finding.remedy} ({name_explanation(finding.rule)})"
    )
