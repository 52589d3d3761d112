"""Card inputs: the components people press, fill in or choose from, and the form around them."""

from notifier.sandbox.cards.checker import EMPTY_NAME, Check, Walk, as_object
from notifier.sandbox.cards.components import elements, held, layout, own
from notifier.sandbox.cards.text import icon, plain_text
from notifier.sandbox.cards.values import (
    anything,
    boolean,
    colour,
    integer,
    list_of,
    mapping,
    one_of,
    pixels,
    shape,
    text,
)

_url = text(least=1)
_callback = shape({"type": anything, "value": mapping(anything)})
_open_url = shape(
    {"type": anything}, {"default_url": _url, "pc_url": _url, "ios_url": _url, "android_url": _url}
)


def _behavior(walk: Walk, value: object) -> None:
    """A callback whose value is an object (a string breaks the app's SDK), or a link."""
    kind = as_object(walk, value).get("type")
    if kind == "callback":
        _callback(walk, value)
    elif kind == "open_url":
        _open_url(walk, value)
        if len(as_object(walk, value)) < 2:
            raise walk.bad("open_url needs a url", value)
    else:
        raise walk.bad("type should be callback or open_url", kind)


behaviors = list_of(_behavior, least=1)
_confirm = shape({"title": plain_text(), "text": plain_text()})
_pressable: dict[str, Check] = {
    **own,
    "name": text(),
    "behaviors": behaviors,
    "confirm": _confirm,
    "disabled": boolean,
    "disabled_tips": plain_text(),
}


def interactive(check_shape: Check) -> Check:
    """Inside a form every such component needs a name of its own."""

    def check(walk: Walk, value: object) -> None:
        check_shape(walk, value)
        name = as_object(walk, value).get("name")
        if walk.in_form and not name:
            raise walk.refuse(EMPTY_NAME, "name of an interactive component in a form is empty", name)
        if isinstance(name, str) and name:
            with walk.inside("name"):
                walk.met_name(name)

    return check


_button = shape(
    {"tag": anything},
    {
        **_pressable,
        "type": one_of(
            "default",
            "primary",
            "danger",
            "text",
            "primary_text",
            "danger_text",
            "primary_filled",
            "danger_filled",
            "laser",
        ),
        "size": one_of("tiny", "small", "medium", "large"),
        "width": pixels(100, 9999, "default", "fill"),
        "text": plain_text(100),
        "icon": icon,
        "hover_tips": plain_text(),
        "form_action_type": one_of("submit", "reset"),
    },
)


def _pressed_button(walk: Walk, value: object) -> None:
    """Outside a form a button needs behaviors, inside one it needs form_action_type."""
    _button(walk, value)
    found = as_object(walk, value)
    if "text" not in found and "icon" not in found:
        raise walk.bad("a button needs text or icon", "")
    if walk.in_form and found.get("form_action_type") == "submit":
        walk.submit_buttons += 1
    if not walk.in_form and "form_action_type" in found:
        raise walk.bad("form_action_type outside a form", found["form_action_type"])
    if not walk.in_form and "behaviors" not in found:
        raise walk.bad("required property is missing, property: behaviors", "")
    if walk.in_form and "behaviors" not in found and "form_action_type" not in found:
        raise walk.bad("a button in a form needs form_action_type or behaviors", "")


_input = shape(
    {"tag": anything},
    {
        **_pressable,
        "required": boolean,
        "placeholder": plain_text(100),
        "default_value": text(),
        "max_length": integer(1, 1000),
        "input_type": one_of("text", "multiline_text", "password"),
        "rows": integer(1, 99),
        "auto_resize": boolean,
        "max_rows": integer(1, 99),
        "label": plain_text(),
        "label_position": one_of("top", "left"),
        "width": pixels(100, 9999, "default", "fill"),
    },
)

_option = shape({"text": plain_text(), "value": text(least=1)}, {"icon": icon})
_select = shape(
    {"tag": anything, "options": list_of(_option)},
    {
        **_pressable,
        "initial_option": text(),
        "initial_index": integer(0, 9999),
        "placeholder": plain_text(100),
        "type": one_of("default", "text"),
        "width": pixels(100, 9999, "default", "fill"),
        "required": boolean,
    },
)


def _chosen_select(walk: Walk, value: object) -> None:
    """Option values are unique, and what is chosen at first is one of them."""
    _select(walk, value)
    found = as_object(walk, value)
    options = found["options"] if isinstance(found["options"], list) else []
    values = [option["value"] for option in options]
    if len(set(values)) != len(values):
        raise walk.bad("option values are not unique", values)
    if "initial_option" in found and found["initial_option"] not in values:
        raise walk.bad("initial_option is none of the options", found["initial_option"])
    if int(str(found.get("initial_index", 0))) > len(values):
        raise walk.bad("initial_index is beyond the options", found["initial_index"])


_form_shape = shape({"tag": anything, "name": text(least=1), "elements": elements}, {**own, **layout})


def _form(walk: Walk, value: object) -> None:
    """At the root, with a name of its own and a submit button."""
    before = walk.submit_buttons
    _form_shape(walk, value)
    walk.met_name(str(as_object(walk, value)["name"]))
    if walk.submit_buttons == before:
        raise walk.bad("a form needs a submit button", "")


_interactive_container = held(
    "interactive_container",
    shape(
        {"tag": anything, "behaviors": behaviors, "elements": elements},
        {
            **_pressable,
            **layout,
            "width": pixels(16, 999, "fill", "auto"),
            "height": pixels(10, 999, "auto"),
            "background_style": colour,
            "has_border": boolean,
            "border_color": colour,
            "corner_radius": text(),
            "hover_tips": plain_text(),
        },
    ),
)

INPUTS: dict[str, Check] = {
    "button": interactive(_pressed_button),
    "input": interactive(_input),
    "select_static": interactive(_chosen_select),
    "form": held("form", _form),
    "interactive_container": _interactive_container,
}
