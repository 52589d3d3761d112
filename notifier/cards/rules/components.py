"""The components of card JSON 2.0 as tables: tag -> attributes -> what each value must be.

Source: the pages card-json-v2-structure and card-json-v2-components of Feishu, as of May 2026.
"""

from collections.abc import Mapping
from types import MappingProxyType

from notifier.cards.rules.data import chart, count_tables, table
from notifier.cards.rules.pieces import (
    DEPRECATED_CLICK,
    FIELD,
    LAYOUT,
    TEXT_STYLE,
    any_text,
    button_width,
    component_shape,
    confirm,
    corner_radius,
    icon,
    icons,
    link_action,
    non_empty_behaviors,
    plain_text,
    short_text,
    texts,
)
from notifier.cards.rules.texts import markdown_tables, markdown_text, unformatted_text
from notifier.cards.rules.values import (
    anything,
    boolean,
    by_language,
    colour,
    filled_string,
    list_of,
    number_of,
    one_of,
    picture_size,
    pixels,
    sides,
    string,
    text_size,
    variant,
    whole_number,
)
from notifier.cards.rules.walk import (
    CardWalk,
    Check,
    Shape,
    closest_name,
    describe,
    iter_objects,
    wrong_type,
)

MAX_CONTAINER_DEPTH = 5
MAX_BUTTON_TEXT = 100

CONTAINERS = frozenset({"column_set", "form", "collapsible_panel", "interactive_container"})
ROOT_ONLY = frozenset({"form", "table"})
NAMED_IN_FORMS = frozenset(
    {
        *("button", "input", "select_static", "multi_select_static", "select_person", "multi_select_person"),
        *("date_picker", "picker_time", "picker_datetime", "select_img", "checker"),
    },
)
DEPRECATED_COMPONENTS = MappingProxyType(
    {
        "action": "put the buttons directly into elements, side by side in a column_set with flex_mode flow",
        "note": "use a div whose text has text_size notation and text_color grey",
    },
)


def component(walk: CardWalk, value: object) -> None:
    """Check one entry of an elements list, and all below it."""
    if not isinstance(value, dict):
        wrong_type(walk, "a component", value)
        return
    tag = value.get("tag")
    if not isinstance(tag, str):
        if tag is not None or "tag" not in value:
            walk.add_problem("missing-attribute", "A component needs a tag that is a string.", "tag")
    elif tag in COMPONENTS:
        _known_component(walk, tag, value)
    elif not walk.is_full:
        rule = "schema-1-component" if tag in DEPRECATED_COMPONENTS else "unknown-component"
        walk.add_problem(rule, _unknown_component(tag), "tag")


def _unknown_component(tag: str) -> str:
    if tag in DEPRECATED_COMPONENTS:
        return f"Card JSON 2.0 has no component {tag}: {DEPRECATED_COMPONENTS[tag]}."
    if tag == "column":
        return "A column stands only in the columns of a column_set."
    meant = closest_name(tag, COMPONENTS)
    return f"Card JSON 2.0 has no component {describe(tag)}" + (f"; did you mean {meant}?" if meant else ".")


def _known_component(walk: CardWalk, tag: str, value: Mapping[str, object]) -> None:
    if tag in ROOT_ONLY and walk.containers:
        walk.add_problem(
            "not-allowed-here", f"A {tag} may stand only in body.elements, not in a {walk.containers[-1]}."
        )
    if tag in NAMED_IN_FORMS:
        _name_in_form(walk, value)
    if tag not in CONTAINERS:
        COMPONENTS[tag](walk, value)
        return
    if len(walk.containers) >= MAX_CONTAINER_DEPTH:
        walk.add_problem(
            "nesting-limit",
            f"Containers nest at most {MAX_CONTAINER_DEPTH} deep; this {tag} is one too many.",
        )
    walk.containers.append(tag)
    COMPONENTS[tag](walk, value)
    walk.containers.pop()


def _name_in_form(walk: CardWalk, value: Mapping[str, object]) -> None:
    """Inside a form each field has a name of its own; outside, attributes meant for forms are refused."""
    if "form" not in walk.containers:
        for key in ("required", "form_action_type"):
            if key in value:
                walk.add_problem("not-allowed-here", f"{key} has a meaning only inside a form.", key)
        return
    _own_name(walk, value.get("name"), walk.field_names)


def _own_name(walk: CardWalk, name: object, taken: set[str]) -> None:
    if not isinstance(name, str) or not name:
        walk.add_problem(
            "missing-attribute",
            "This needs a name that is not empty, because its answer is sent back under it.",
            "name",
        )
    elif name in taken:
        walk.add_problem(
            "duplicate-name",
            f"Another one in this card has the name {describe(name)}; it must be unique.",
            "name",
        )
    else:
        taken.add(name)


elements = list_of(component)


def _text_in_markdown(walk: CardWalk, value: Mapping[str, object]) -> None:
    """Tables in Markdown count towards the card's tables; of its languages the fullest decides."""
    texts = [value.get("content")]
    i18n = value.get("i18n_content")
    if isinstance(i18n, dict):
        texts += i18n.values()
    count_tables(walk, max(markdown_tables(text) if isinstance(text, str) else 0 for text in texts))


def _input_rules(walk: CardWalk, value: Mapping[str, object]) -> None:
    if "form" in walk.containers and "behaviors" in value:
        walk.add_problem(
            "not-allowed-here", "Inside a form an input has no behaviors: the form sends it.", "behaviors"
        )


def _form_rules(walk: CardWalk, form: Mapping[str, object]) -> None:
    _own_name(walk, form.get("name"), walk.form_names)
    if not any(node.get("form_action_type") == "submit" for node in iter_objects(form.get("elements"))):
        walk.add_problem("form-submit", "A form needs a button with form_action_type submit.", "elements")


def _option_rules(walk: CardWalk, select: Mapping[str, object]) -> None:
    options = select.get("options")
    if not isinstance(options, list):
        return
    seen: set[str] = set()
    for index, option in enumerate(options):
        value = option.get("value") if isinstance(option, dict) else None
        if isinstance(value, str) and value in seen:
            text = f"Another option has the value {describe(value)}; it must be unique."
            walk.add_problem("duplicate-option", text, "options", index, "value")
        elif isinstance(value, str):
            seen.add(value)
    _initial_option_rules(walk, select, seen, len(options))


def _initial_option_rules(walk: CardWalk, select: Mapping[str, object], values: set[str], count: int) -> None:
    first = select.get("initial_option")
    if isinstance(first, str) and first and first not in values:
        walk.add_problem("wrong-value", f"No option has the value {describe(first)}.", "initial_option")
    index = select.get("initial_index")
    if isinstance(index, int) and index > count:
        walk.add_problem(
            "wrong-value", f"There are {count} options, counted from 1, so none is {index}.", "initial_index"
        )


_option = Shape(
    name="An option",
    attributes={"text": plain_text, "value": filled_string, "icon": icon},
    required=("text", "value"),
)
_column = variant(
    "tag",
    {
        "column": component_shape(
            "column",
            {
                **LAYOUT,
                "width": pixels(16, 600, "auto", "weighted"),
                "weight": whole_number(1, 5),
                "background_style": colour,
                "elements": elements,
                "action": link_action,
            },
        ),
    },
)
_panel_header = Shape(
    name="A panel header",
    attributes={
        "title": texts("plain_text", "lark_md", "markdown", style=TEXT_STYLE),
        "width": one_of("fill", "auto", "auto_when_fold"),
        "icon": icons(size=picture_size),
        "icon_position": one_of("left", "right", "follow_text"),
        "icon_expanded_angle": number_of(-180, -90, 90, 180),
        "background_color": colour,
        "padding": sides(0, 99),
        "vertical_align": one_of("top", "center", "bottom"),
    },
    required=("title",),
)
_border = Shape(name="A border", attributes={"color": colour, "corner_radius": corner_radius})
_person = Shape(name="An entry of persons", attributes={"id": filled_string}, required=("id",))


def _check_texts_only(walk: CardWalk, value: object) -> None:
    """Check the text objects in a value of which we know no more."""
    if isinstance(value, dict):
        if value.get("tag") in {"plain_text", "lark_md"}:
            any_text(walk, value)
            return
        for key, member in value.items():
            walk.check_member(key, member, _check_texts_only)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            walk.check_member(index, member, _check_texts_only)


def _loose_field(tag: str) -> Shape:
    loose: dict[str, Check] = dict.fromkeys(
        ("text", "placeholder", "label", "options", "hover_tips"), _check_texts_only
    )
    return component_shape(tag, {**loose, **FIELD}, is_open=True)


COMPONENTS: Mapping[str, Shape] = MappingProxyType(
    {
        "div": component_shape(
            "div",
            {
                "text": texts("plain_text", "lark_md", style=TEXT_STYLE),
                "icon": icon,
                "width": pixels(16, 999, "fill", "auto"),
            },
            required=("text",),
            deprecated={
                "fields": "use a column_set",
                "extra": "use a column_set",
            },
        ),
        "markdown": component_shape(
            "markdown",
            {
                "content": markdown_text,
                "i18n_content": by_language(markdown_text),
                "text_size": text_size,
                "text_align": one_of("left", "center", "right"),
                "icon": icon,
            },
            required=("content",),
            deprecated={"href": "write the address into the link itself"},
            extra_rule=_text_in_markdown,
        ),
        "hr": component_shape("hr", {}),
        "img": component_shape(
            "img",
            {
                "img_key": filled_string,
                "i18n_img_key": by_language(filled_string),
                "alt": plain_text,
                "title": any_text,
                "scale_type": one_of("crop_center", "crop_top", "fit_horizontal"),
                "size": picture_size,
                "corner_radius": corner_radius,
                "transparent": boolean,
                "preview": boolean,
            },
            required=("img_key", "alt"),
            deprecated={
                "mode": "use scale_type and size",
                "compact_width": "use size",
                "custom_width": "use size",
            },
        ),
        "person": component_shape(
            "person",
            {
                "user_id": filled_string,
                "size": one_of("extra_small", "small", "medium", "large"),
                "show_avatar": boolean,
                "show_name": boolean,
                "style": one_of("normal", "capsule"),
            },
            required=("user_id",),
        ),
        "person_list": component_shape(
            "person_list",
            {
                "persons": list_of(_person),
                "lines": whole_number(1, 9999),
                "show_name": boolean,
                "show_avatar": boolean,
                "size": one_of("extra_small", "small", "medium", "large"),
                "drop_invalid_user_id": boolean,
                "icon": icon,
            },
            required=("persons",),
        ),
        "table": table,
        "chart": chart,
        "column_set": component_shape(
            "column_set",
            {
                "flex_mode": one_of("none", "stretch", "flow", "bisect", "trisect"),
                "background_style": colour,
                "horizontal_spacing": LAYOUT["horizontal_spacing"],
                "horizontal_align": LAYOUT["horizontal_align"],
                "action": link_action,
                "columns": list_of(_column),
            },
            required=("columns",),
        ),
        "collapsible_panel": component_shape(
            "collapsible_panel",
            {
                **LAYOUT,
                "expanded": boolean,
                "header": _panel_header,
                "border": _border,
                "background_color": colour,
                "elements": elements,
            },
            required=("header", "elements"),
        ),
        "form": component_shape(
            "form",
            {**LAYOUT, "name": string, "elements": elements},
            required=("elements",),
            extra_rule=_form_rules,
        ),
        "interactive_container": component_shape(
            "interactive_container",
            {
                **LAYOUT,
                "behaviors": non_empty_behaviors,
                "confirm": confirm,
                "disabled": boolean,
                "disabled_tips": plain_text,
                "hover_tips": plain_text,
                "elements": elements,
            },
            required=("elements",),
            is_open=True,
        ),
        "button": component_shape(
            "button",
            {
                "type": one_of(
                    *("default", "primary", "danger", "text", "primary_text", "danger_text"),
                    *("primary_filled", "danger_filled", "laser"),
                ),
                "size": one_of("tiny", "small", "medium", "large"),
                "width": button_width,
                "text": texts("plain_text", max_length=MAX_BUTTON_TEXT),
                "icon": icon,
                "hover_tips": plain_text,
                "disabled": boolean,
                "disabled_tips": plain_text,
                "confirm": confirm,
                "behaviors": non_empty_behaviors,
                "name": string,
                "form_action_type": one_of("submit", "reset"),
                "required": boolean,
                "value": anything,
            },
            deprecated=DEPRECATED_CLICK,
        ),
        "input": component_shape(
            "input",
            {
                **FIELD,
                "placeholder": short_text,
                "default_value": unformatted_text(),
                "i18n_default_value": by_language(unformatted_text()),
                "max_length": whole_number(1, 1000),
                "input_type": one_of("text", "multiline_text", "password"),
                "rows": whole_number(1, 9999),
                "auto_resize": boolean,
                "max_rows": whole_number(1, 9999),
                "label": plain_text,
                "label_position": one_of("top", "left"),
            },
            deprecated=DEPRECATED_CLICK,
            extra_rule=_input_rules,
        ),
        "select_static": component_shape(
            "select_static",
            {
                **FIELD,
                "options": list_of(_option),
                "initial_option": string,
                "initial_index": whole_number(0, 9999),
                "placeholder": short_text,
                "type": one_of("default", "text"),
            },
            deprecated=DEPRECATED_CLICK,
            extra_rule=_option_rules,
        ),
        **{tag: _loose_field(tag) for tag in sorted(NAMED_IN_FORMS - {"button", "input", "select_static"})},
        **{tag: _loose_field(tag) for tag in ("overflow", "img_combination", "audio")},
    },
)
