"""Checks whether Feishu accepts a card. Card JSON 2.0 is checked in full; of 1.0 cards and templates only the frame.

The error codes are those that Feishu documents within 230099. Where it documents none, the code is 200621 (card JSON).
"""

from collections.abc import Set as AbstractSet

from notifier.sandbox.cards.checker import (
    NO_TEMPLATE,
    NOT_UPDATE_MULTI,
    UNKNOWN_CARD,
    CardChecker,
    CardRefusedError,
    as_text,
)
from notifier.sandbox.cards.components import CONTENT_COMPONENTS, body_elements, layout, link
from notifier.sandbox.cards.inputs import INPUT_COMPONENTS
from notifier.sandbox.cards.pickers import PICKER_COMPONENTS
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
COMPONENTS = CONTENT_COMPONENTS | INPUT_COMPONENTS | PICKER_COMPONENTS | TABLE_COMPONENTS


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
    {"schema": one_of("2.0"), "body": shape({"elements": body_elements}, layout)},
    {"config": _config, "card_link": link, "header": _header},
)


def check_card(
    card: JsonObject, *, settings: SandboxSettings, known_ids: frozenset[str], known_images: AbstractSet[str]
) -> None:
    """Raises CardRefusedError for the first error.

    known_ids: ids of people that the card can mention. known_images: keys of images that it can show.
    """
    checker = CardChecker(COMPONENTS, settings=settings, known_ids=known_ids, known_images=known_images)
    if card.get("type") in ("template", "card"):
        _check_reference(checker, card)
        return
    if card.get("schema", "1.0") == "1.0":
        _check_old_card(checker, card)
        return
    checker.colours, checker.text_sizes = _custom_names(card, "color"), _custom_names(card, "text_size")
    _card(checker, card)


def _check_reference(checker: CardChecker, card: JsonObject) -> None:
    """A template needs its id; there are no card entities, so that each `card_id` is unknown."""
    data = card.get("data")
    if not isinstance(data, dict):
        raise checker.invalid("data should be an object", data)
    if card["type"] == "card":
        raise checker.refuse(UNKNOWN_CARD, "card_id is unknown", data.get("card_id"))
    if not isinstance(data.get("template_id"), str) or not data["template_id"]:
        raise checker.refuse(NO_TEMPLATE, "template does not exist", data.get("template_id"))


def _check_old_card(checker: CardChecker, card: JsonObject) -> None:
    """A card without `schema` is one of JSON 1.0, which has its elements at the top."""
    elements, by_language = card.get("elements"), card.get("i18n_elements")
    if not isinstance(elements, list) and not isinstance(by_language, dict):
        raise checker.invalid('a card needs "schema": "2.0" and body, or the elements of JSON 1.0', "")


def _custom_names(card: JsonObject, kind: str) -> set[str]:
    """The names that config.style of the card defines. Their values are checked later."""
    found: object = card
    for name in ("config", "style", kind):
        found = found.get(name) if isinstance(found, dict) else None
    return set(found) if isinstance(found, dict) else set()
