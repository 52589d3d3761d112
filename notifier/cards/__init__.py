"""Cards: templates, rendering, the texts on them, their rules, and the linter."""

from notifier.cards.lint_findings import LintFinding

__all__ = ["lint"]


def lint(card: object) -> list[LintFinding]:
    """Return the findings of a card. card: parsed JSON, or JSON text. Raises json.JSONDecodeError for other text."""
    from notifier.cards import linter  # noqa: PLC0415 - loads Jinja, which most users of this room do not need

    return linter.lint(card)
