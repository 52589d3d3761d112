"""Checks of components that show content or contain other components."""

import re

from notifier.sandbox.cards.checker import BAD_TAG, CardChecker, Check, as_object, as_text
from notifier.sandbox.cards.text import div_text, icon, image_key, markdown, panel_title_text, plain_text
from notifier.sandbox.cards.values import (
    anything,
    boolean,
    by_language,
    colour,
    element_id,
    integer,
    list_of,
    margin,
    one_of,
    padding,
    pixels,
    shape,
    spacing,
    text,
)

_IMAGE_SIZE = re.compile(r"\d{1,4}px \d{1,4}px")
common_attributes = {"element_id": element_id, "margin": margin}
layout: dict[str, Check] = {
    "padding": padding,
    "direction": one_of("vertical", "horizontal"),
    "horizontal_spacing": spacing,
    "vertical_spacing": spacing,
    "horizontal_align": one_of("left", "center", "right"),
    "vertical_align": one_of("top", "center", "bottom"),
}


def element(checker: CardChecker, value: object) -> None:
    """Checks one component of `elements`; its tag selects the check."""
    tag = as_object(checker, value).get("tag")
    if not isinstance(tag, str) or tag not in checker.components:
        raise checker.refuse(BAD_TAG, f"unsupported tag {tag} in schema V2", tag)
    checker.count_elements()
    checker.components[tag](checker, value)


elements = list_of(element)
body_elements = list_of(element, minimum=1)


def container_of(tag: str, check_inner: Check) -> Check:
    """The check of a container, whose content is one level deeper."""

    def check(checker: CardChecker, value: object) -> None:
        with checker.container(tag):
            check_inner(checker, value)

    return check


def _person(checker: CardChecker, value: object) -> None:
    checker.check_person(as_text(checker, value))


def _person_list(checker: CardChecker, value: object) -> None:
    """Unknown ids are an error unless drop_invalid_user_id is true."""
    _person_list_shape(checker, value)
    found = as_object(checker, value)
    if found.get("drop_invalid_user_id") is True:
        return
    with checker.at_path("persons"):
        for person in found["persons"] if isinstance(found["persons"], list) else []:
            checker.check_person(str(person["id"]))


def _image_size(checker: CardChecker, value: object) -> None:
    words = ("large", "medium", "small", "tiny", "stretch")
    if as_text(checker, value) not in words and not _IMAGE_SIZE.fullmatch(str(value)):
        raise checker.invalid(f'should be one of {", ".join(words)} or "Wpx Hpx"', value)


def link(checker: CardChecker, value: object) -> None:
    """Checks a link: `url`, or all three URLs for the clients. An empty one counts as absent."""
    _link_shape(checker, value)
    filled = {name for name, url in as_object(checker, value).items() if url}
    if "url" not in filled and not {"pc_url", "ios_url", "android_url"} <= filled:
        raise checker.invalid("url is needed, or all of pc_url, ios_url and android_url", value)


_link_shape = shape({}, dict.fromkeys(("url", "pc_url", "ios_url", "android_url"), text()))
_link_action = shape({"multi_url": link})
_people_size = one_of("extra_small", "small", "medium", "large")

div = shape(
    {"tag": anything},
    {**common_attributes, "text": div_text, "icon": icon, "width": pixels(16, 999, "fill", "auto")},
)
hr = shape({"tag": anything}, common_attributes)
img = shape(
    {"tag": anything, "img_key": image_key, "alt": plain_text()},
    {
        **common_attributes,
        "i18n_img_key": by_language(image_key),
        "title": plain_text(),
        "scale_type": one_of("crop_center", "crop_top", "fit_horizontal"),
        "size": _image_size,
        "corner_radius": text(),
        "transparent": boolean,
        "preview": boolean,
    },
)
person = shape(
    {"tag": anything, "user_id": _person},
    {
        **common_attributes,
        "size": _people_size,
        "show_avatar": boolean,
        "show_name": boolean,
        "style": one_of("normal", "capsule"),
    },
)
_person_list_shape = shape(
    {"tag": anything, "persons": list_of(shape({"id": text(minimum=1)}), minimum=1)},
    {
        **common_attributes,
        "lines": integer(1, 999),
        "show_name": boolean,
        "show_avatar": boolean,
        "size": _people_size,
        "drop_invalid_user_id": boolean,
        "icon": icon,
    },
)

_column = shape(
    {"tag": one_of("column")},
    {
        **common_attributes,
        **layout,
        "width": pixels(16, 600, "auto", "weighted"),
        "weight": integer(1, 5),
        "background_style": colour,
        "elements": elements,
        "action": _link_action,
    },
)


def _check_column(checker: CardChecker, value: object) -> None:
    checker.count_elements()
    _column(checker, value)


column_set = container_of(
    "column_set",
    shape(
        {"tag": anything, "columns": list_of(_check_column, minimum=1)},
        {
            **common_attributes,
            "flex_mode": one_of("none", "stretch", "flow", "bisect", "trisect"),
            "background_style": colour,
            "horizontal_spacing": spacing,
            "horizontal_align": one_of("left", "center", "right"),
            "action": _link_action,
        },
    ),
)

collapsible_panel = container_of(
    "collapsible_panel",
    shape(
        {
            "tag": anything,
            "header": shape(
                {"title": panel_title_text},
                {
                    "width": one_of("fill", "auto", "auto_when_fold"),
                    "icon": icon,
                    "icon_position": one_of("left", "right", "follow_text"),
                    "icon_expanded_angle": one_of(-180, -90, 90, 180),
                    "background_color": colour,
                    "padding": padding,
                    "vertical_align": one_of("top", "center", "bottom"),
                },
            ),
            "elements": elements,
        },
        {
            **common_attributes,
            **layout,
            "expanded": boolean,
            "background_color": colour,
            "border": shape({}, {"color": colour, "corner_radius": text()}),
        },
    ),
)

CONTENT_COMPONENTS: dict[str, Check] = {
    "div": div,
    "markdown": markdown,
    "hr": hr,
    "img": img,
    "person": person,
    "person_list": _person_list,
    "column_set": column_set,
    "collapsible_panel": collapsible_panel,
}
