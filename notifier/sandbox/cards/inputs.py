"""Checks of interactive components and of forms."""

from notifier.sandbox.cards.checker import EMPTY_NAME, NO_SUBMIT_BUTTON, CardChecker, Check, as_object
from notifier.sandbox.cards.components import common_attributes, container_of, elements, layout
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

_url = text(minimum=1)
_callback = shape({"type": anything, "value": mapping(anything)})
_open_url = shape(
    {"type": anything}, {"default_url": _url, "pc_url": text(), "ios_url": text(), "android_url": text()}
)


def _behavior(checker: CardChecker, value: object) -> None:
    """A callback whose value is an object, or a link. Feishu's SDKs fail on a value that is a string."""
    kind = as_object(checker, value).get("type")
    if kind == "callback":
        _callback(checker, value)
    elif kind == "open_url":
        _open_url(checker, value)
        if not any(url for name, url in as_object(checker, value).items() if name != "type"):
            raise checker.invalid("open_url needs a url", value)
    else:
        raise checker.invalid("type should be callback or open_url", kind)


behaviors = list_of(_behavior, minimum=1)
_confirm = shape({"title": plain_text(), "text": plain_text()})
interactive_attributes: dict[str, Check] = {
    **common_attributes,
    "name": text(),
    "behaviors": behaviors,
    "confirm": _confirm,
    "disabled": boolean,
    "disabled_tips": plain_text(),
}


def interactive(check_shape: Check) -> Check:
    """Adds the check of `name`: required inside a form, and unique in the card."""

    def check(checker: CardChecker, value: object) -> None:
        check_shape(checker, value)
        name = as_object(checker, value).get("name")
        if checker.in_form and not name:
            raise checker.refuse(EMPTY_NAME, "name of an interactive component in a form is empty", name)
        if isinstance(name, str) and name:
            with checker.at_path("name"):
                checker.register_name(name)

    return check


_button = shape(
    {"tag": anything},
    {
        **interactive_attributes,
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
        "value": mapping(anything),
    },
)


def _check_button(checker: CardChecker, value: object) -> None:
    """A button needs a text or an icon. Without `behaviors` a click sends `value`, or has no effect."""
    _button(checker, value)
    found = as_object(checker, value)
    if "text" not in found and "icon" not in found:
        raise checker.invalid("a button needs text or icon", "")
    if checker.in_form and found.get("form_action_type") == "submit":
        checker.submit_buttons += 1
    if not checker.in_form and "form_action_type" in found:
        raise checker.invalid("form_action_type outside a form", found["form_action_type"])


_input = shape(
    {"tag": anything},
    {
        **interactive_attributes,
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

_option = shape({"text": plain_text(), "value": text(minimum=1)}, {"icon": icon})
_select = shape(
    {"tag": anything, "options": list_of(_option)},
    {
        **interactive_attributes,
        "initial_option": text(),
        "initial_index": integer(0, 9999),
        "placeholder": plain_text(100),
        "type": one_of("default", "text"),
        "width": pixels(100, 9999, "default", "fill"),
        "required": boolean,
    },
)


def _check_select(checker: CardChecker, value: object) -> None:
    """Option values must be unique, and the initial option must be one of them."""
    _select(checker, value)
    found = as_object(checker, value)
    options = found["options"] if isinstance(found["options"], list) else []
    values = [option["value"] for option in options]
    if len(set(values)) != len(values):
        raise checker.invalid("option values are not unique", values)
    if "initial_option" in found and found["initial_option"] not in values:
        raise checker.invalid("initial_option is none of the options", found["initial_option"])
    if int(str(found.get("initial_index", 0))) > len(values):
        raise checker.invalid("initial_index is beyond the options", found["initial_index"])


_form_shape = shape(
    {"tag": anything, "name": text(minimum=1), "elements": elements}, {**common_attributes, **layout}
)


def _form(checker: CardChecker, value: object) -> None:
    """A form needs a unique name and a submit button."""
    before = checker.submit_buttons
    _form_shape(checker, value)
    checker.register_name(str(as_object(checker, value)["name"]))
    if checker.submit_buttons == before:
        raise checker.refuse(NO_SUBMIT_BUTTON, "a form needs a submit button", "")


_interactive_container = container_of(
    "interactive_container",
    shape(
        {"tag": anything, "behaviors": behaviors, "elements": elements},
        {
            **interactive_attributes,
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

INPUT_COMPONENTS: dict[str, Check] = {
    "button": interactive(_check_button),
    "input": interactive(_input),
    "select_static": interactive(_check_select),
    "form": container_of("form", _form),
    "interactive_container": _interactive_container,
}
