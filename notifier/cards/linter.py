"""The card linter: checks a card from Python, JSON text or a template against all rules."""

import json
from collections.abc import Mapping

from notifier.cards.lint_findings import LintFinding, Severity
from notifier.cards.rules import card_problems
from notifier.cards.rules.catalogue import RULES
from notifier.cards.templates import CardTemplates
from notifier.errors import TemplateBroken


def lint(card: object) -> list[LintFinding]:
    """Return the findings of a card. card: parsed JSON, or JSON text. Raises json.JSONDecodeError for other text."""
    parsed = json.loads(card) if isinstance(card, str | bytes) else card
    return [_finding(each.rule, each.path, each.message) for each in card_problems(parsed)]


def lint_template(templates: CardTemplates, name: str, context: Mapping[str, object]) -> list[LintFinding]:
    """Return the findings of the card that a template renders from a context. Never raises TemplateBroken."""
    try:
        return lint(templates.render(name, context))
    except TemplateBroken as error:
        return [_finding("template-error", "card", str(error))]


def _finding(rule_id: str, path: str, message: str) -> LintFinding:
    rule = RULES[rule_id]
    return LintFinding(
        rule=rule.id,
        severity=Severity(rule.severity),
        path=path,
        message=message,
        remedy=rule.remedy,
        place=None,
    )
