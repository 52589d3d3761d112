"""The card as a whole: its top level, config and header."""

from notifier.feishu.card_rules.components import elements
from notifier.feishu.card_rules.pieces import LAYOUT, any_text, icon, multi_url, plain_text
from notifier.feishu.card_rules.texts import plain
from notifier.feishu.card_rules.values import (
    LANGUAGES,
    TAG_COLOURS,
    TEXT_SIZES,
    anything,
    by_language,
    element_id,
    flag,
    free_object,
    list_of,
    named,
    one_of,
    only_true,
    rgba,
    sides,
    variant,
)
from notifier.feishu.card_rules.walk import Shape, Walk, shown

MOST_HEADER_TAGS = 3


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
_header_tags = list_of(_header_tag, most=MOST_HEADER_TAGS, rule="too-many-tags")
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
    old={"ud_icon": "use icon with tag standard_icon"},
)
_style = Shape(
    name="The style",
    attributes={
        "text_size": named(
            Shape(
                name="A text size", attributes=dict.fromkeys(("default", "pc", "mobile"), one_of(*TEXT_SIZES))
            ),
        ),
        "color": named(
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
        "enable_forward": flag,
        "enable_forward_interaction": flag,
        "width_mode": one_of("default", "compact", "fill"),
        "summary": Shape(
            name="The summary", attributes={"content": plain(), "i18n_content": by_language(plain())}
        ),
        "locales": list_of(one_of(*LANGUAGES)),
        "use_custom_translation": flag,
        "style": _style,
        "streaming_mode": flag,
        "streaming_config": free_object,
    },
    old={"wide_screen_mode": "use width_mode"},
)


def _schema(walk: Walk, value: object) -> None:
    if value != "2.0":
        walk.problem("wrong-value", f"The schema must be the string “2.0”, not {shown(value)}.")


whole_card = Shape(
    name="A card",
    attributes={
        "schema": _schema,
        "config": _config,
        "card_link": multi_url,
        "header": _header,
        "body": Shape(name="The body", attributes={**LAYOUT, "elements": elements}, required=("elements",)),
    },
    required=("schema", "body"),
    old={
        "elements": "use body.elements",
        "i18n_elements": "give each component its own i18n_content",
        "i18n_header": "use header with i18n_content in its title",
        "fallback": "there is nothing in its place",
    },
)
