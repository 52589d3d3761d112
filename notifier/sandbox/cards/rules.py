"""Checks whether Feishu accepts a card. Card JSON 2.0 is checked in full, 1.0 cards and templates are not.

The error codes are those that Feishu documents within 230099. Where it documents none, the code is 200621 (card JSON).
"""

from notifier.sandbox.cards.checker import NOT_UPDATE_MULTI, CardChecker, CardRefusedError, as_text
from notifier.sandbox.cards.components import CONTENT_COMPONENTS, elements, layout, link
from notifier.sandbox.cards.inputs import INPUT_COMPONENTS
from notifier.sandbox.cards.tables import TABLE_COMPONENTS
from notifier.sandbox.cards.text import icon, text_tags, title_text
from notifier.sandbox.cards.values import (
    LANGUAGES,
    TEXT_SIZES,
    anything,
    boolean,
    by_language,
    list_of,
    mapping,
    one_of,
    padding,
    shape,
    text,
)
from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.settings import SandboxSettings

__all__ = ["CardRefusedError", "check_card"]
COMPONENTS = CONTENT_COMPONENTS | INPUT_COMPONENTS | TABLE_COMPONENTS


def _update_multi(checker: CardChecker, value: object) -> None:
    if value is not True:
        raise checker.refuse(NOT_UPDATE_MULTI, "update_multi can only be true", value)


def _rgba(checker: CardChecker, value: object) -> None:
    if not as_text(checker, value).replace(" ", "").startswith(("rgba(", "rgb(")):
        raise checker.invalid("should be rgba(r,g,b,a)", value)


_size = one_of(*sorted(TEXT_SIZES))
_style = shape(
    {},
    {
        "text_size": mapping(shape({}, {"default": _size, "pc": _size, "mobile": _size})),
        "color": mapping(shape({"light_mode": _rgba, "dark_mode": _rgba})),
    },
)
_config = shape(
    {},
    {
        "update_multi": _update_multi,
        "enable_forward": boolean,
        "enable_forward_interaction": boolean,
        "width_mode": one_of("default", "compact", "fill"),
        "summary": shape({}, {"content": text(), "i18n_content": by_language(text())}),
        "locales": list_of(one_of(*sorted(LANGUAGES))),
        "use_custom_translation": boolean,
        "style": _style,
        "streaming_mode": boolean,
        "streaming_config": anything,
    },
)
_header = shape(
    {"title": title_text},
    {
        "subtitle": title_text,
        "text_tag_list": text_tags,
        "i18n_text_tag_list": by_language(text_tags),
        "template": one_of(
            "blue",
            "wathet",
            "turquoise",
            "green",
            "yellow",
            "orange",
            "red",
            "carmine",
            "violet",
            "purple",
            "indigo",
            "grey",
            "default",
        ),
        "icon": icon,
        "padding": padding,
    },
)
_card = shape(
    {"schema": one_of("2.0"), "body": shape({"elements": elements}, layout)},
    {"config": _config, "card_link": link, "header": _header},
)


def check_card(card: JsonObject, *, settings: SandboxSettings, known_ids: frozenset[str]) -> None:
    """Raises CardRefusedError for the first error. known_ids: ids of people that the card can mention."""
    checker = CardChecker(COMPONENTS, settings=settings, known_ids=known_ids)
    if card.get("schema", "1.0") == "1.0":
        return
    checker.colours, checker.text_sizes = _custom_names(card, "color"), _custom_names(card, "text_size")
    _card(checker, card)


def _custom_names(card: JsonObject, kind: str) -> set[str]:
    """The names that config.style of the card defines. Their values are checked later."""
    found: object = card
    for name in ("config", "style", kind):
        found = found.get(name) if isinstance(found, dict) else None
    return set(found) if isinstance(found, dict) else set()
