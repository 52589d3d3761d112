"""The card as a whole: its top level, config and header."""

from notifier.cards.rules.components import elements
from notifier.cards.rules.pieces import LAYOUT, any_text, icon, multi_url, plain_text
from notifier.cards.rules.texts import unformatted_text
from notifier.cards.rules.values import (
    LANGUAGES,
    TAG_COLOURS,
    TEXT_SIZES,
    anything,
    boolean,
    by_language,
    element_id,
    free_object,
    list_of,
    map_of,
    one_of,
    only_true,
    rgba,
    sides,
    variant,
)
from notifier.cards.rules.walk import CardWalk, Shape, describe

MAX_HEADER_TAGS = 3


_header_tag = variant(
    "tag",
    {
        "text_tag": Shape(
            name="A text_tag",
            attributes={
                "tag": anything,
                "element_id": element_id,
                "text": plain_text,
                "color": one_of(*TAG_COLOURS),
            },
            required=("text",),
        ),
    },
)
_header_tags = list_of(_header_tag, max_count=MAX_HEADER_TAGS, rule="header-tag-limit")
_header = Shape(
    name="The header",
    attributes={
        "title": any_text,
        "subtitle": any_text,
        "text_tag_list": _header_tags,
        "i18n_text_tag_list": by_language(_header_tags),
        "template": one_of(
            *("blue", "wathet", "turquoise", "green", "yellow", "orange", "red"),
            *("carmine", "violet", "purple", "indigo", "grey", "default"),
        ),
        "icon": icon,
        "padding": sides(0, 99),
    },
    required=("title",),
    deprecated={"ud_icon": "use icon with tag standard_icon"},
)
_style = Shape(
    name="The style",
    attributes={
        "text_size": map_of(
            Shape(
                name="A text size", attributes=dict.fromkeys(("default", "pc", "mobile"), one_of(*TEXT_SIZES))
            ),
        ),
        "color": map_of(
            Shape(
                name="A colour",
                attributes={"light_mode": rgba, "dark_mode": rgba},
                required=("light_mode", "dark_mode"),
            ),
        ),
    },
)
_config = Shape(
    name="The config",
    attributes={
        "update_multi": only_true,
        "enable_forward": boolean,
        "enable_forward_interaction": boolean,
        "width_mode": one_of("default", "compact", "fill"),
        "summary": Shape(
            name="The summary",
            attributes={"content": unformatted_text(), "i18n_content": by_language(unformatted_text())},
        ),
        "locales": list_of(one_of(*LANGUAGES)),
        "use_custom_translation": boolean,
        "style": _style,
        "streaming_mode": boolean,
        "streaming_config": free_object,
    },
    deprecated={"wide_screen_mode": "use width_mode"},
)


def _schema(walk: CardWalk, value: object) -> None:
    if value != "2.0":
        walk.add_problem("wrong-value", f"The schema must be the string “2.0”, not {describe(value)}.")


def _body_elements(walk: CardWalk, value: object) -> None:
    elements(walk, value)
    if value == []:
        walk.add_problem("empty-body", "A card needs at least one component in body.elements.")


card_shape = Shape(
    name="A card",
    attributes={
        "schema": _schema,
        "config": _config,
        "card_link": multi_url,
        "header": _header,
        "body": Shape(
            name="The body", attributes={**LAYOUT, "elements": _body_elements}, required=("elements",)
        ),
    },
    required=("schema", "body"),
    deprecated={
        "elements": "use body.elements",
        "i18n_elements": "give each component its own i18n_content",
        "i18n_header": "use header with i18n_content in its title",
        "fallback": "there is nothing in its place",
    },
)
