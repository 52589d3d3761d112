"""Which cards the platform accepts, and its error codes for others."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.sandbox.cards.rules import CardRefusedError, check_card
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import card, send

IDS = frozenset({"ou_sandbox_lin", "ou_sandbox_chen"})
IMAGES = frozenset({"img_v3_x"})


def refusal(made: dict[str, Any], **settings: Any) -> int:
    """The sub code, or 0 for a card that is taken."""
    try:
        check_card(made, settings=SandboxSettings(**settings), known_ids=IDS, known_images=IMAGES)
    except CardRefusedError as refused:
        return refused.err_code
    return 0


def plain(content: str = "x", **more: Any) -> dict[str, Any]:
    return {"tag": "plain_text", "content": content, **more}


def div(**more: Any) -> dict[str, Any]:
    return {"tag": "div", "text": plain(), **more}


def markdown(content: str, **more: Any) -> dict[str, Any]:
    return {"tag": "markdown", "content": content, **more}


def button(**more: Any) -> dict[str, Any]:
    behaviors = [{"type": "callback", "value": {"op": "withdraw"}}]
    return {"tag": "button", "text": plain("press"), "behaviors": behaviors, **more}


def columns(*elements: Any, **more: Any) -> dict[str, Any]:
    return {"tag": "column_set", "columns": [{"tag": "column", "elements": list(elements)}], **more}


def panel(*elements: Any, **more: Any) -> dict[str, Any]:
    return {"tag": "collapsible_panel", "header": {"title": plain()}, "elements": list(elements), **more}


def table(rows: Any = (), data_type: str = "text", **more: Any) -> dict[str, Any]:
    return {"tag": "table", "columns": [{"name": "a", "data_type": data_type}], "rows": list(rows), **more}


def chart(**spec: Any) -> dict[str, Any]:
    return {"tag": "chart", "chart_spec": {"type": "bar", "data": {"values": []}, "xField": "k", **spec}}


def form(*elements: Any, **more: Any) -> dict[str, Any]:
    submit = {"tag": "button", "name": "go", "text": plain(), "form_action_type": "submit"}
    return {"tag": "form", "name": "f", "elements": [*elements, submit], **more}


def nested(levels: int) -> dict[str, Any]:
    made = div()
    for _ in range(levels):
        made = columns(made)
    return made


GOOD = [
    div(),
    div(text=plain("x", text_size="notation", text_color="grey", text_align="center", lines=2)),
    div(
        text={"tag": "lark_md", "content": "**x**"},
        icon={"tag": "standard_icon", "token": "cny", "color": "blue"},
    ),
    {"tag": "hr", "margin": "4px 0 4px 0"},
    div(
        text=plain("x", i18n_content={"zh_cn": "甲", "en_us": "a"}), margin="4px 0px -4px 0px", width="300px"
    ),
    markdown("**x** <at id=ou_sandbox_lin></at> <person id='ou_sandbox_chen' style='normal'></person>"),
    markdown(
        "&#60;at id=all&#62; <at ids=ou_sandbox_lin,ou_sandbox_chen></at> <at email=a@sandbox.example></at>"
    ),
    markdown("![a](img_v3_x) <font color='red'>7</font> <local_datetime millisecond='1'></local_datetime>"),
    {"tag": "hr", "element_id": "line_1"},
    {"tag": "img", "img_key": "img_v3_x", "alt": plain(""), "scale_type": "crop_top", "size": "100px 50px"},
    {"tag": "person", "user_id": "ou_sandbox_lin", "size": "small", "show_name": True, "style": "capsule"},
    {"tag": "person_list", "persons": [{"id": "ou_sandbox_lin"}], "lines": 1},
    {"tag": "person_list", "persons": [{"id": "ou_left"}], "drop_invalid_user_id": True},
    columns(div(), button(), flex_mode="flow", horizontal_spacing="8px", background_style="grey"),
    columns(markdown("x"), action={"multi_url": {"url": "https://sandbox.example"}}),
    panel(div(), chart(), expanded=True, border={"color": "grey", "corner_radius": "5px"}, padding="8px 8px"),
    button(
        type="primary",
        size="small",
        width="fill",
        confirm={"title": plain(), "text": plain()},
        element_id="go",
    ),
    button(disabled=True, disabled_tips=plain("done"), hover_tips=plain("tip")),
    button(behaviors=[{"type": "open_url", "default_url": "https://sandbox.example"}]),
    button(behaviors=[{"type": "open_url", "default_url": "https://sandbox.example", "pc_url": ""}]),
    {"tag": "button", "text": plain()},
    {"tag": "button", "text": plain(), "value": {"op": 1}},
    form({"tag": "button", "name": "idle", "text": plain()}),
    div(text=plain("x", text_size="normal_v2", text_color="blue-50")),
    div(text=plain("x", text_size="notation_small_v2", text_color="#1f2329")),
    columns(div(), background_style="rgba(20, 86, 240, 0.1)"),
    button(text=plain("x" * 100)),
    form({"tag": "input", "name": "why", "required": True, "placeholder": plain("?"), "max_length": 10}),
    form(
        {
            "tag": "select_static",
            "name": "s",
            "options": [{"text": plain(), "value": "1"}],
            "initial_option": "1",
        }
    ),
    {"tag": "interactive_container", "behaviors": [{"type": "callback", "value": {}}], "elements": [div()]},
    {"tag": "date_picker", "initial_date": "2026-01-31", "placeholder": plain("day")},
    {"tag": "picker_time", "initial_time": "09:30"},
    {"tag": "picker_datetime", "initial_datetime": "2026-01-31 09:30", "width": "fill"},
    {"tag": "select_person", "options": [{"value": "ou_sandbox_lin"}], "initial_option": "ou_sandbox_lin"},
    {"tag": "select_person"},
    {"tag": "multi_select_person", "selected_values": ["ou_sandbox_chen"]},
    {"tag": "multi_select_static", "options": [{"text": plain(), "value": "1"}], "selected_values": ["1"]},
    {
        "tag": "select_img",
        "options": [{"img_key": "img_v3_x", "value": "1"}],
        "multi_select": True,
        "layout": "bisect",
    },
    {"tag": "checker", "text": plain("done"), "checked": True, "checked_style": {"opacity": 0.5}},
    {"tag": "checker", "text": plain(), "button_area": {"pc_display_rule": "always", "buttons": [button()]}},
    {"tag": "overflow", "options": [{"text": plain(), "value": "1"}]},
    {"tag": "overflow", "options": [{"text": plain(), "multi_url": {"url": "https://sandbox.example"}}]},
    {"tag": "img_combination", "combination_mode": "triple", "img_list": [{"img_key": "img_v3_x"}] * 3},
    form({"tag": "date_picker", "name": "day", "required": True}, {"tag": "checker", "name": "yes"}),
    table([{"a": "x"}, {"a": 1}, {}]),
    table([{"a": 1.5}], "number", page_size=10, row_height="auto", header_style={"bold": False, "lines": 2}),
    table([{"a": 1700000000000}], "date"),
    table([{"a": "x"}, {"a": [{"text": "x", "color": "red"}]}], "options"),
    table([{"a": "ou_x"}, {"a": ["ou_x"]}], "persons"),
    table([{"a": "**x**"}], "lark_md"),
    chart(data=[{"values": [{"k": "a", "v": 1}]}]),
    nested(5),
]
BAD: list[tuple[str, Any, int]] = [
    ("an unknown attribute", div(colour="red"), 200621),
    ("an unknown attribute of a text", div(text=plain("x", colour="red")), 200621),
    ("a missing attribute", {"tag": "markdown"}, 200621),
    ("a null", markdown("x", text_align=None), 200621),
    ("a wrong type", markdown(5), 200621),  # type: ignore[arg-type]
    ("a wrong enum", markdown("x", text_align="middle"), 200621),
    ("true for a number", panel(header={"title": plain(), "icon_expanded_angle": True}), 200621),
    ("no object", "div", 200621),
    ("a tag of 1.0", {"tag": "note", "elements": []}, 200861),
    ("the action block of 1.0", {"tag": "action", "actions": []}, 200861),
    ("no tag", {"content": "x"}, 200861),
    ("an element_id that starts with a digit", div(element_id="1a"), 200621),
    ("an element_id of 21 characters", div(element_id="a" * 21), 200621),
    ("an element_id with a hyphen", div(element_id="a-b"), 200621),
    ("one element_id twice", columns(div(element_id="a"), div(element_id="a")), 300301),
    ("a margin without unit", div(margin="4"), 200621),
    ("a margin of three values", div(margin="4px 4px 4px"), 200621),
    ("a margin of 100px", div(margin="100px"), 200621),
    ("a padding below zero", panel(padding="-1px"), 200621),
    ("an unknown spacing", columns(horizontal_spacing="huge"), 200621),
    ("an unknown colour", div(text=plain("x", text_color="blurple")), 200621),
    ("a shade of no colour", div(text=plain("x", text_color="blurple-50")), 200621),
    ("half a colour", columns(background_style="rgba(20, 86"), 200621),
    ("an unknown text size", div(text=plain("x", text_size="giant")), 200621),
    ("a colour on lark_md", div(text={"tag": "lark_md", "content": "x", "text_color": "red"}), 200621),
    ("an unknown language", div(text=plain("x", i18n_content={"zh_CN": "x"})), 200621),
    ("an unknown person mentioned", markdown("<at id=ou_left></at>"), 100290),
    ("one unknown of several", markdown("<at ids=ou_sandbox_lin,ou_left></at>"), 100290),
    ("everybody mentioned", markdown("<at id=all></at>"), 100290),
    ("everybody mentioned in quotes", div(text={"tag": "lark_md", "content": "<at id='all'></at>"}), 100290),
    ("an unknown person shown", markdown("<person id='ou_left'></person>"), 100290),
    (
        "an unknown person in a translation",
        markdown("x", i18n_content={"en_us": "<at id=ou_left></at>"}),
        100290,
    ),
    ("an unknown person component", {"tag": "person", "user_id": "ou_left"}, 100290),
    ("an unknown person in a list", {"tag": "person_list", "persons": [{"id": "ou_left"}]}, 100290),
    ("a bad image key", {"tag": "img", "img_key": "x", "alt": plain("")}, 200570),
    ("the key of an image that nobody uploaded", markdown("![x](img_v3_y)"), 200570),
    ("a bad image key in Markdown", markdown("![x](https://sandbox.example/x.png)"), 200570),
    ("an image without alt", {"tag": "img", "img_key": "img_v3_x"}, 200621),
    ("six levels", nested(6), 11310),
    ("a form in a column", columns(form()), 200621),
    ("a table in a column", columns(table()), 200621),
    ("a table in a panel", panel(table()), 200621),
    ("a table in a form", form(table()), 200621),
    ("a chart in a form", form(chart()), 200621),
    ("a form without submit", {"tag": "form", "name": "f", "elements": [div()]}, 300123),
    ("a form without name", form(name=""), 200621),
    ("a nameless input in a form", form({"tag": "input"}), 200530),
    ("an empty name in a form", form({"tag": "input", "name": ""}), 200530),
    ("one name twice in a form", form({"tag": "input", "name": "go"}), 200621),
    ("a string as callback value", button(behaviors=[{"type": "callback", "value": "x"}]), 200621),
    ("a callback without value", button(behaviors=[{"type": "callback"}]), 200621),
    ("an unknown behavior", button(behaviors=[{"type": "jump"}]), 200621),
    ("a link without address", button(behaviors=[{"type": "open_url"}]), 200621),
    ("a link with only empty addresses", button(behaviors=[{"type": "open_url", "pc_url": ""}]), 200621),
    ("a string as bare value", {"tag": "button", "text": plain(), "value": "x"}, 200621),
    ("no behavior at all", button(behaviors=[]), 200621),
    ("an unknown button type", button(type="huge"), 200621),
    ("a button text of 101 characters", button(text=plain("x" * 101)), 200621),
    ("a button text in Markdown", button(text={"tag": "lark_md", "content": "x"}), 200621),
    ("a confirm without text", button(confirm={"title": plain()}), 200621),
    ("form_action_type outside a form", button(form_action_type="submit"), 200621),
    (
        "the same option twice",
        {"tag": "select_static", "options": [{"text": plain(), "value": "1"}] * 2},
        200621,
    ),
    (
        "an initial option that is none",
        {"tag": "select_static", "options": [], "initial_option": "1"},
        200621,
    ),
    ("a day that is none", {"tag": "date_picker", "initial_date": "31.01.2026"}, 200621),
    ("an hour that is none", {"tag": "picker_time", "initial_time": "25:00"}, 200621),
    ("a moment without time", {"tag": "picker_datetime", "initial_datetime": "2026-01-31"}, 200621),
    ("an unknown person to pick", {"tag": "select_person", "options": [{"value": "ou_left"}]}, 100290),
    (
        "a person chosen who cannot be picked",
        {
            "tag": "multi_select_person",
            "options": [{"value": "ou_sandbox_lin"}],
            "selected_values": ["ou_sandbox_chen"],
        },
        200621,
    ),
    (
        "a choice that is none",
        {
            "tag": "multi_select_static",
            "options": [{"text": plain(), "value": "1"}],
            "selected_values": ["2"],
        },
        200621,
    ),
    ("images to pick without images", {"tag": "select_img", "options": []}, 200621),
    ("an unknown image", {"tag": "select_img", "options": [{"img_key": "img_y", "value": "1"}]}, 200570),
    ("a tick as text", {"tag": "checker", "checked": "true"}, 200621),
    ("an opacity above one", {"tag": "checker", "checked_style": {"opacity": 2}}, 200621),
    ("a menu without entries", {"tag": "overflow", "options": []}, 200621),
    (
        "an unknown combination",
        {"tag": "img_combination", "combination_mode": "five", "img_list": []},
        200621,
    ),
    ("a nameless picker in a form", form({"tag": "date_picker"}), 200530),
    ("an undeclared row key", table([{"b": "x"}]), 200915),
    ("a row that is no object", table(["x"]), 200914),
    ("a null cell", table([{"a": None}]), 200914),
    ("text in a number column", table([{"a": "1"}], "number"), 200914),
    ("a date as text", table([{"a": "2026-01-01"}], "date"), 200914),
    ("an unknown data_type", table([], "money"), 200621),
    ("two columns of one name", table(columns=[{"name": "a", "data_type": "text"}] * 2), 200621),
    ("a page of 11 rows", table(page_size=11), 200621),
    ("a column of 601px", table(columns=[{"name": "a", "data_type": "text", "width": "601px"}]), 200621),
    ("a chart with null axes", chart(axes=None), 200550),
    ("a null deep in a chart", chart(data={"values": [{"k": None}]}), 200550),
    ("an unknown chart", chart(type="spiral"), 200550),
    ("a chart without data", chart(data=None), 200550),
    ("five Markdown tables", markdown("\n\n".join(["|a|b|\n|---|---|\n|1|2|"] * 5)), 11310),
]


@pytest.mark.parametrize("element", GOOD, ids=lambda element: str(element["tag"]))
def test_a_good_component_is_accepted(element: dict[str, Any]) -> None:
    assert 0 == refusal(card(element))


@pytest.mark.parametrize("element, code", [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_bad_component_is_refused(element: Any, code: int) -> None:
    assert code == refusal(card(element))


@pytest.mark.parametrize(
    "more, code",
    [
        ({"header": {"title": plain(), "subtitle": plain(), "template": "green", "padding": "12px"}}, 0),
        (
            {
                "header": {
                    "title": {"tag": "lark_md", "content": "x"},
                    "icon": {"tag": "custom_icon", "img_key": "img_v3_x"},
                }
            },
            0,
        ),
        (
            {
                "header": {
                    "title": plain(),
                    "text_tag_list": [{"tag": "text_tag", "text": plain(), "color": "lime"}] * 3,
                }
            },
            0,
        ),
        ({"header": {"title": plain(), "text_tag_list": [{"tag": "text_tag", "text": plain()}] * 4}}, 200621),
        ({"header": {"title": plain(), "i18n_text_tag_list": {"xx": []}}}, 200621),
        ({"header": {"title": plain(), "template": "pink"}}, 200621),
        ({"header": {"title": plain(), "ud_icon": {}}}, 200621),
        ({"header": {"template": "red"}}, 200621),
        ({"header": {"title": "x"}}, 200621),
        ({"config": {"update_multi": False}}, 300302),
        ({"config": {"wide_screen_mode": True}}, 200621),
        ({"config": {"width_mode": "wide"}}, 200621),
        ({"config": {"summary": {"content": "x", "i18n_content": {"en_us": "x"}}, "locales": ["zh_cn"]}}, 0),
        ({"config": {"locales": ["zh"]}}, 200621),
        ({"config": {"style": {"color": {"own": {"light_mode": "rgba(1,2,3,1)"}}}}}, 200621),
        ({"card_link": {"url": "https://sandbox.example"}}, 0),
        ({"card_link": {"url": "https://sandbox.example", "pc_url": "", "ios_url": ""}}, 0),
        ({"card_link": {"url": "", "pc_url": ""}}, 200621),
        ({"card_link": {"pc_url": "https://sandbox.example"}}, 200621),
        ({"elements": []}, 200621),
        ({"i18n_elements": {}}, 200621),
        ({"body": {}}, 200621),
        ({"body": {"elements": []}}, 200621),
        ({"header": {"title": plain(), "template": "#ff0000"}}, 200621),
        ({"body": {"elements": [div()], "direction": "diagonal"}}, 200621),
        ({"schema": "3.0"}, 200621),
        ({"schema": 2.0}, 200621),
    ],
)
def test_the_frame_of_a_card_has_rules_too(more: dict[str, Any], code: int) -> None:
    assert code == refusal({**card(), **more})


def test_colours_and_sizes_of_the_cards_own_may_be_used() -> None:
    own = {
        "color": {"brand": {"light_mode": "rgba(1,2,3,1)", "dark_mode": "rgba(1,2,3,1)"}},
        "text_size": {"tiny": {"default": "small", "mobile": "x-small"}},
    }
    made = card(div(text=plain("x", text_color="brand", text_size="tiny")))

    assert 0 == refusal({**made, "config": {"style": own}})
    assert 200621 == refusal(made)


def test_200_elements_fit_and_each_plain_text_counts() -> None:
    assert 0 == refusal(card(*[div()] * 100))
    assert 11310 == refusal(card(*[div()] * 100, {"tag": "hr"}))


def test_three_tables_fit_and_markdown_tables_count() -> None:
    in_markdown = markdown("|a|b|\n|---|---|\n|1|2|")

    assert 0 == refusal(card(table(), table(), in_markdown))
    assert 11310 == refusal(card(table(), table(), in_markdown, table()))
    assert 0 == refusal(card(*[table()] * 5), tables_per_card=5)


def test_a_bot_that_may_mention_everybody_does() -> None:
    assert 0 == refusal(card(markdown("<at id=all></at>")), may_mention_all=True)


@pytest.mark.parametrize(
    "loose",
    [
        {"elements": [{"tag": "note"}]},
        {"schema": "1.0", "elements": []},
        {"i18n_elements": {"zh_cn": []}},
        {"type": "template", "data": {"template_id": "x"}},
    ],
)
def test_other_kinds_of_card_are_accepted_by_their_frame(loose: dict[str, Any]) -> None:
    assert 0 == refusal(loose)


@pytest.mark.parametrize(
    "wrong, code",
    [
        ({}, 200621),
        ({"card": card()}, 200621),
        ({"msg_type": "interactive", "card": card()}, 200621),
        ({"schema": "1.0"}, 200621),
        ({"body": {"elements": [div()]}}, 200621),
        ({"type": "template"}, 200621),
        ({"type": "template", "data": {}}, 200380),
        ({"type": "card", "data": {"card_id": "7355372766134157313"}}, 10002),
    ],
)
def test_what_is_no_card_is_refused(wrong: dict[str, Any], code: int) -> None:
    assert code == refusal(wrong)


def test_a_refused_card_is_answered_with_path_and_value(feishu_box: FeishuBox) -> None:
    reply = send(feishu_box, card(div(), columns(markdown("<at id=ou_left></at>"))))

    assert (400, 230099) == (reply.status, reply.code)
    expected = (
        "Failed to create card content, ext=ErrCode: 100290; "
        "ErrPath: ROOT -> body -> elements -> [1](tag: column_set) -> columns -> [0](tag: column) -> elements "
        "-> [0](tag: markdown) -> content; ErrMsg: invalid user id; ErrorValue: 'ou_left'"
    )
    assert expected == reply.content["msg"]


@pytest.mark.parametrize("nonsense", [[], 5, "x", None, {"a": []}])
@pytest.mark.parametrize("place", ["schema", "config", "header", "body", "card_link"])
def test_nonsense_anywhere_is_refused_and_breaks_nothing(nonsense: Any, place: str) -> None:
    made = json.loads(json.dumps({**card(), place: nonsense}))

    assert 0 != refusal(made)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.data())
def test_a_corrupted_card_is_accepted_or_refused_and_nothing_else(data: st.DataObject) -> None:
    made = json.loads(json.dumps(card(*data.draw(st.lists(st.sampled_from(GOOD), min_size=1, max_size=3)))))
    place: Any = made
    while True:
        step = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not place[step] or not isinstance(place[step], dict | list) or data.draw(st.booleans()):
            place[step] = data.draw(json_values)
            break
        place = place[step]

    assert isinstance(refusal(made), int)
