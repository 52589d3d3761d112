"""Writes docs/card-rules.md from the table of rules: `python -m notifier.cards.rules.page docs/card-rules.md`."""

import sys
from pathlib import Path

from notifier.cards.lint_findings import Severity
from notifier.cards.rules.catalogue import RULES, Rule

_HEAD = """\
# Card rules

`notifier lint` checks cards against these rules. `make rules` writes this page from
`cards/rules/catalogue.py`. [templates.md](templates.md#check-cards) shows how to use the command.
`notifier lint --explain RULE` prints one rule.

An **error** means that Feishu refuses the card, that a click fails, or that content is lost. The service does not send
such a card; it sends the next lower variant. A **warning** means that phones or older clients show the card
differently, or that the behaviour is deprecated or unconfirmed. The service sends the card.
"""


def rules_page() -> str:
    """Return the page as Markdown."""
    parts = [_HEAD]
    for severity, title in ((Severity.ERROR, "Errors"), (Severity.WARNING, "Warnings")):
        rules = [rule for rule in RULES.values() if rule.severity is severity]
        parts.append(f"## {title}\n")
        parts.append("| rule | demands |\n| --- | --- |")
        parts += [f"| [{rule.id}](#{rule.id}) | {_cell(rule.summary)} |" for rule in rules]
        parts.append("")
        parts += [_section(rule) for rule in rules]
    return "\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _section(rule: Rule) -> str:
    return (
        f"### {rule.id}\n\n{rule.summary}\n\n- **Why**: {rule.why}\n- **Remedy**: {rule.remedy}\n"
        f"- **Source**: {rule.source}\n"
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(rules_page(), encoding="utf-8")
