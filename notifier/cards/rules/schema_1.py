"""A light check of card JSON 1.0, which ignores what it does not know."""

from collections.abc import Mapping

from notifier.cards.rules.walk import FoundProblem

_ELEMENTS = ("elements", "i18n_elements")


def is_schema_1(card: object) -> bool:
    """Whether a card is one of JSON 1.0: it says so, or has its elements at the top and no body."""
    if not isinstance(card, dict):
        return False
    schema = card.get("schema")
    has_elements = any(key in card for key in _ELEMENTS)
    return schema == "1.0" or (schema is None and has_elements and "body" not in card)


def schema_1_problems(card: Mapping[str, object]) -> list[FoundProblem]:
    """Return the findings of a 1.0 card: that it is one, and whether its elements can be read."""
    found = [
        FoundProblem(
            path=(), rule="schema-1", message="This is a card of JSON 1.0, which gets a light check only."
        )
    ]
    wanted: dict[str, tuple[type, str]] = {"elements": (list, "a list"), "i18n_elements": (dict, "an object")}
    for key, (kind, name) in wanted.items():
        if key in card and not isinstance(card[key], kind):
            found.append(FoundProblem(path=(key,), rule="wrong-type", message=f"This must be {name}."))
    if not any(key in card for key in _ELEMENTS):
        message = "A card of JSON 1.0 needs elements or i18n_elements."
        found.append(FoundProblem(path=("elements",), rule="missing-attribute", message=message))
    return found
