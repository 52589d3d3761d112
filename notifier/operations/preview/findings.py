"""What is wrong with a rendered card, as the page shows it."""

from collections.abc import Mapping
from typing import Any

from notifier.feishu.card_rules import card_problems


def find_problems(card: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the problems of a card in document order: rule, severity, path, message, remedy and place."""
    return [
        {
            "rule": problem.rule,
            "severity": "error",
            "path": problem.path,
            "message": problem.message,
            "remedy": "",
            "place": None,
        }
        for problem in card_problems(card)
    ]
