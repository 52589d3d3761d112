"""Checks of components with which a reader picks: dates, people, options, images, a tick, a menu."""

import datetime as dt

from notifier.sandbox.cards.checker import CardChecker, Check, as_object, as_text
from notifier.sandbox.cards.components import common_attributes, elements, link
from notifier.sandbox.cards.inputs import behaviors, interactive, interactive_attributes
from notifier.sandbox.cards.text import div_text, icon, image_key, plain_text
from notifier.sandbox.cards.values import (
    anything,
    boolean,
    list_of,
    mapping,
    number,
    one_of,
    padding,
    pixels,
    shape,
    text,
)

_field: dict[str, Check] = {
    **interactive_attributes,
    "required": boolean,
    "placeholder": plain_text(100),
    "width": pixels(100, 9999, "default", "fill"),
    "value": mapping(anything),
}
_selection = _field | {"type": one_of("default", "text")}


def _moment(pattern: str, example: str) -> Check:
    """A date or time in the form of the pattern."""

    def check(checker: CardChecker, value: object) -> None:
        try:
            dt.datetime.strptime(as_text(checker, value), pattern)  # noqa: DTZ007  # only its form is checked
        except ValueError as error:
            raise checker.invalid(f"should look like {example}", value) from error

    return check


def _picker(initial: str, pattern: str, example: str) -> Check:
    return interactive(shape({"tag": anything}, {**_field, initial: _moment(pattern, example)}))


def _person(checker: CardChecker, value: object) -> None:
    checker.check_person(as_text(checker, value))


def _among_options(initial: str, check_shape: Check) -> Check:
    """Values of options are unique, and what is chosen at first is among them, if the card lists options."""

    def check(checker: CardChecker, value: object) -> None:
        check_shape(checker, value)
        found = as_object(checker, value)
        options = found.get("options")
        values = [option["value"] for option in options] if isinstance(options, list) else []
        if len(set(values)) != len(values):
            raise checker.invalid("option values are not unique", values)
        chosen = found.get(initial, [])
        unknown = [
            one for one in (chosen if isinstance(chosen, list) else [chosen]) if values and one not in values
        ]
        if unknown:
            raise checker.invalid(f"{initial} is none of the options", unknown)

    return check


_option = shape({"text": plain_text(), "value": text(minimum=1)}, {"icon": icon})
_people = {"options": list_of(shape({"value": _person}))}
_select_person = shape({"tag": anything}, {**_selection, **_people, "initial_option": _person})
_multi_select_person = shape(
    {"tag": anything}, {**_selection, **_people, "selected_values": list_of(_person)}
)
_multi_select_static = shape(
    {"tag": anything, "options": list_of(_option)}, {**_selection, "selected_values": list_of(text())}
)
_select_img = shape(
    {
        "tag": anything,
        "options": list_of(
            shape(
                {"img_key": image_key, "value": text(minimum=1)},
                {"disabled": boolean, "disabled_tips": plain_text(), "hover_tips": plain_text()},
            ),
            minimum=1,
        ),
    },
    {
        **_field,
        "multi_select": boolean,
        "layout": one_of("stretch", "bisect", "trisect"),
        "aspect_ratio": one_of("1:1", "16:9", "4:3"),
        "can_preview": boolean,
        "style": anything,
    },
)
_checker = shape(
    {"tag": anything},
    {
        **interactive_attributes,
        "checked": boolean,
        "text": div_text,
        "overall_checkable": boolean,
        "button_area": shape({"buttons": elements}, {"pc_display_rule": one_of("always", "on_hover")}),
        "checked_style": shape({}, {"show_strikethrough": boolean, "opacity": number(0, 1)}),
        "hover_tips": plain_text(),
        "padding": padding,
        "value": mapping(anything),
    },
)
_overflow = shape(
    {
        "tag": anything,
        "options": list_of(
            shape({"text": plain_text()}, {"value": text(minimum=1), "multi_url": link}), minimum=1
        ),
    },
    {
        **common_attributes,
        "behaviors": behaviors,
        "confirm": interactive_attributes["confirm"],
        "name": text(),
        "width": pixels(100, 9999, "default", "fill"),
        "value": mapping(anything),
    },
)
_img_combination = shape(
    {
        "tag": anything,
        "combination_mode": one_of("double", "triple", "bisect", "trisect"),
        "img_list": list_of(shape({"img_key": image_key}), minimum=1, maximum=9),
    },
    {**common_attributes, "corner_radius": text(), "combination_transparent": boolean},
)

PICKER_COMPONENTS: dict[str, Check] = {
    "date_picker": _picker("initial_date", "%Y-%m-%d", "2026-01-31"),
    "picker_time": _picker("initial_time", "%H:%M", "09:30"),
    "picker_datetime": _picker("initial_datetime", "%Y-%m-%d %H:%M", "2026-01-31 09:30"),
    "select_person": interactive(_among_options("initial_option", _select_person)),
    "multi_select_person": interactive(_among_options("selected_values", _multi_select_person)),
    "multi_select_static": interactive(_among_options("selected_values", _multi_select_static)),
    "select_img": interactive(_among_options("", _select_img)),
    "checker": interactive(_checker),
    "overflow": interactive(_overflow),
    "img_combination": _img_combination,
}
