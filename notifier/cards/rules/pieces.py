"""Pieces that several components share: texts, icons, links, clicks, layout."""

from collections.abc import Mapping

from notifier.cards.rules.texts import (
    client_link,
    markdown_text,
    text_shape,
    unformatted_text,
    web_link,
)
from notifier.cards.rules.values import (
    anything,
    boolean,
    colour,
    element_id,
    filled_string,
    list_of,
    one_of,
    pixels,
    sides,
    string,
    text_size,
    variant,
    whole_number,
)
from notifier.cards.rules.walk import CardWalk, Check, ObjectRule, Shape, describe

MAX_PLACEHOLDER = 100


def texts(*tags: str, max_length: int | None = None, style: Mapping[str, Check] | None = None) -> Check:
    """A text object with one of these tags. max_length: in characters; None: no limit. style: further attributes."""
    contents = {
        "plain_text": unformatted_text(max_length),
        "lark_md": markdown_text,
        "markdown": markdown_text,
    }
    return variant("tag", {tag: text_shape(tag, contents[tag], style or {}) for tag in tags})


TEXT_STYLE: Mapping[str, Check] = {
    "text_size": text_size,
    "text_color": colour,
    "text_align": one_of("left", "center", "right"),
    "lines": whole_number(1, 9999),
}
plain_text = texts("plain_text")
short_text = texts("plain_text", max_length=MAX_PLACEHOLDER)
any_text = texts("plain_text", "lark_md")


def icons(**more: Check) -> Check:
    """An icon object. more: further attributes."""
    standard: dict[str, Check] = {"tag": anything, "token": filled_string, "color": colour, **more}
    custom: dict[str, Check] = {"tag": anything, "img_key": filled_string, **more}
    return variant(
        "tag",
        {
            "standard_icon": Shape(name="A standard_icon", attributes=standard, required=("token",)),
            "custom_icon": Shape(name="A custom_icon", attributes=custom, required=("img_key",)),
        },
    )


icon = icons()
corner_radius = pixels(0, 9999, percent=True)


_CLIENT_LINKS: Mapping[str, Check] = dict.fromkeys(("pc_url", "ios_url", "android_url"), client_link)


def _require_client_links(walk: CardWalk, links: Mapping[str, object]) -> None:
    if not links.get("url") and not all(links.get(key) for key in _CLIENT_LINKS):
        walk.add_problem(
            "missing-attribute", "A link needs url, or all of pc_url, ios_url and android_url.", "url"
        )


multi_url = Shape(
    name="A link",
    attributes={"url": client_link, **_CLIENT_LINKS},
    extra_rule=_require_client_links,
)
link_action = Shape(name="An action", attributes={"multi_url": multi_url}, required=("multi_url",))


def _callback_value(walk: CardWalk, value: object) -> None:
    if not isinstance(value, dict):
        walk.add_problem(
            "wrong-type", f"The value a click sends back must be an object, not {describe(value)}."
        )


_behavior = variant(
    "type",
    {
        "callback": Shape(
            name="A callback",
            attributes={"type": anything, "value": _callback_value},
            required=("value",),
        ),
        "open_url": Shape(
            name="An open_url",
            attributes={"type": anything, "default_url": web_link, **_CLIENT_LINKS},
            required=("default_url",),
        ),
    },
)
_behaviors = list_of(_behavior)


def non_empty_behaviors(walk: CardWalk, value: object) -> None:
    """The behaviors of an element that needs at least one."""
    _behaviors(walk, value)
    if value == []:
        walk.add_problem("missing-attribute", "A click needs at least one behavior: callback or open_url.")


confirm = Shape(
    name="A confirm dialog",
    attributes={"title": plain_text, "text": plain_text},
    required=("title", "text"),
)
DEPRECATED_CLICK = {
    "value": "use behaviors with {type: callback, value: {…}}",
    "url": "use behaviors with {type: open_url, default_url: …}",
    "multi_url": "use behaviors with {type: open_url, default_url: …, pc_url: …}",
    "action_type": "use form_action_type",
}
button_width = pixels(100, 9999, "default", "fill")
FIELD: Mapping[str, Check] = {
    "name": string,
    "required": boolean,
    "disabled": boolean,
    "disabled_tips": plain_text,
    "width": button_width,
    "behaviors": non_empty_behaviors,
    "confirm": confirm,
}


LAYOUT: Mapping[str, Check] = {
    "padding": sides(0, 99),
    "direction": one_of("vertical", "horizontal"),
    "horizontal_spacing": pixels(0, 99, "small", "medium", "large", "extra_large"),
    "vertical_spacing": pixels(0, 99, "small", "medium", "large", "extra_large"),
    "horizontal_align": one_of("left", "center", "right"),
    "vertical_align": one_of("top", "center", "bottom"),
}


def component_shape(
    tag: str,
    attributes: Mapping[str, Check],
    *,
    required: tuple[str, ...] = (),
    deprecated: Mapping[str, str] | None = None,
    extra_rule: ObjectRule | None = None,
    is_open: bool = False,
) -> Shape:
    """The shape of a component. required: attributes that must be there. deprecated: by attribute, what to use
    instead.
    """
    common: dict[str, Check] = {"tag": anything, "element_id": element_id, "margin": sides(-99, 99)}
    article = "An" if tag[0] in "aio" else "A"
    return Shape(
        name=f"{article} {tag}",
        attributes={**common, **attributes},
        required=required,
        deprecated=deprecated,
        extra_rule=extra_rule,
        is_open=is_open,
    )
