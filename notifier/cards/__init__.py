"""Cards: templates, rendering, the texts on them, their rules, and the linter."""

from notifier.cards.lint_findings import LintFinding

__all__ = ["lint"]


def lint(card: object, *, file: str = "card.json") -> list[LintFinding]:
    """Return the findings of a card, in document order.

    card: parsed JSON, or JSON text, whose findings have positions. The content of a message and an export of the card
    builder are accepted as well. file: the name for the positions. Raises json.JSONDecodeError for text that is not
    JSON, and RecursionError for JSON that is nested too deep to be read.
    """
    from notifier.cards import linter  # noqa: PLC0415 - loads Jinja, which most users of this room do not need

    return linter.lint(card, file=file)
