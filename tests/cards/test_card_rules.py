"""The card rules: what they let pass, what they refuse, and that nothing makes them raise."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.cards.rules import card_problems, element_count
from notifier.cards.rules.components import COMPONENTS

Json = dict[str, Any]


def a_text(content: object = "hello", tag: str = "plain_text", **more: object) -> Json:
    return {"tag": tag, "content": content, **more}


def a_div(content: object = "hello", **more: object) -> Json:
    return {"tag": "div", "text": a_text(content), **more}


def a_markdown(content: str, **more: object) -> Json:
    return {"tag": "markdown", "content": content, **more}


def a_button(**more: object) -> Json:
    click = {"type": "callback", "value": {"ref": "abc"}}
    return {"tag": "button", "text": a_text("Withdraw"), "behaviors": [click], **more}


def a_submit(**more: object) -> Json:
    return {"tag": "button", "name": "send", "text": a_text("Send"), "form_action_type": "submit", **more}


def a_form(*elements: Json, **more: object) -> Json:
    return {"tag": "form", "name": "answers", "elements": [*elements, a_submit()], **more}


def a_select(*values: str, **more: object) -> Json:
    return {
        "tag": "select_static",
        "options": [{"text": a_text(value), "value": value} for value in values],
        **more,
    }


def a_column_set(*elements: Json, **more: object) -> Json:
    return {"tag": "column_set", "columns": [{"tag": "column", "elements": list(elements)}], **more}


def a_panel(*elements: Json) -> Json:
    return {"tag": "collapsible_panel", "header": {"title": a_text("More")}, "elements": list(elements)}


def a_table(*rows: object, data_type: str = "text", **more: object) -> Json:
    return {"tag": "table", "columns": [{"name": "a", "data_type": data_type}], "rows": list(rows), **more}


def a_chart(**more: object) -> Json:
    spec = {"type": "bar", "data": {"values": [{"k": "May", "v": 1.5}]}, "xField": "k", "yField": "v", **more}
    return {"tag": "chart", "chart_spec": spec}


def an_image(**more: object) -> Json:
    return {"tag": "img", "img_key": "img_1", "alt": a_text(""), **more}


def a_card(*elements: object, **more: object) -> Json:
    return {"schema": "2.0", "body": {"elements": list(elements) or [a_div()]}, **more}


def a_header(**more: object) -> Json:
    return a_card(header={"title": a_text("Balance"), **more})


def a_config(**more: object) -> Json:
    return a_card(config=more)


def a_header_tag(text: str = "new", **more: object) -> Json:
    return {"tag": "text_tag", "text": a_text(text), **more}


def nested(depth: int) -> Json:
    inner = a_div()
    for _ in range(depth):
        inner = a_column_set(inner)
    return inner


def found(card: object, **options: int) -> list[tuple[str, str]]:
    return [(problem.path, problem.rule) for problem in card_problems(card, **options)]


ORDINARY = a_card(
    a_div("小明 · ¥1,234,567.00"),
    a_markdown("**Account** 6975678901234567890\n\n| a | b |\n|---|:-:|\n| 1 | 2 |", element_id="facts"),
    {"tag": "hr", "margin": "4px 0 4px 0"},
    a_column_set(
        a_button(type="primary", width="fill"), a_div("x"), flex_mode="flow", horizontal_spacing="8px"
    ),
    a_table({"a": "6975678901234567890"}, {"a": 12}, page_size=10, row_height="auto"),
    a_chart(),
    an_image(size="40px 40px", corner_radius="50%"),
    {"tag": "person", "user_id": "ou_1", "show_name": True, "style": "capsule"},
    {"tag": "person_list", "persons": [{"id": "ou_1"}], "drop_invalid_user_id": True},
    a_panel(a_div("rarely read", width="fill")),
    a_form(
        {"tag": "input", "name": "why", "required": True, "max_length": 200}, a_select("a", "b", name="how")
    ),
    config={
        "update_multi": True,
        "enable_forward": False,
        "width_mode": "compact",
        "summary": {"content": "+¥200", "i18n_content": {"en_us": "+¥200"}},
        "locales": ["zh_cn", "en_us"],
        "style": {
            "text_size": {"big": {"default": "heading-1", "pc": "heading-1", "mobile": "heading-2"}},
            "color": {"brand": {"light_mode": "rgba(30,120,255,1)", "dark_mode": "rgba(30,120,255,0.5)"}},
        },
    },
    card_link={"url": "https://example.com", "ios_url": "lark://msgcard/unsupported_action"},
    header={
        "title": a_text("余额变动", i18n_content={"en_us": "Balance changed", "ja_jp": "残高"}),
        "subtitle": a_text("**June**", tag="lark_md"),
        "template": "green",
        "text_tag_list": [a_header_tag(color="lime", element_id="tag_1")],
        "icon": {"tag": "standard_icon", "token": "wallet_outlined", "color": "blue-50"},
        "padding": "12px",
    },
)

GOOD = {
    "an ordinary card": ORDINARY,
    "an empty body": a_card(),
    "own text size and colour": a_card(
        {"tag": "div", "text": a_text(text_size="big", text_color="brand")},
        config={
            "style": {
                "text_size": {"big": {"default": "heading"}},
                "color": {"brand": {"light_mode": "rgba(1,2,3,1)", "dark_mode": "rgba(1,2,3,0)"}},
            },
        },
    ),
    "five containers in each other": a_card(nested(5)),
    "three tables": a_card(a_table(), a_table(), a_table()),
    "two hundred elements": a_card(*[{"tag": "hr"}] * 200),
    "a button with a link for each client": a_card(
        a_button(
            behaviors=[
                {
                    "type": "open_url",
                    "default_url": "https://example.com",
                    "pc_url": "lark://msgcard/unsupported_action",
                },
            ],
        ),
    ),
    "a button that does nothing": a_card({"tag": "button", "text": a_text()}),
    "a button with an empty link for one client": a_card(
        a_button(behaviors=[{"type": "open_url", "default_url": "https://example.com", "pc_url": ""}])
    ),
    "a text size without effect": a_card(a_div(text=a_text(text_size="normal_v2"))),
    "a button with a dialog": a_card(
        a_button(confirm={"title": a_text("Sure?"), "text": a_text("All of it")})
    ),
    "a submit button without behaviors": a_card(a_form()),
    "options and persons in cells": a_card(
        a_table({"a": [{"text": "paid", "color": "green"}]}, {"a": "open"}, data_type="options"),
        a_table({"a": ["ou_1"]}, {"a": "ou_2"}, data_type="persons"),
    ),
    "a component we know only in part": a_card(
        {"tag": "date_picker", "placeholder": a_text("When"), "initial_date": "2024-04-01"},
        {"tag": "interactive_container", "has_border": True, "elements": [a_div()]},
    ),
    "allowed links": a_card(
        a_markdown(
            "[a](https://a.cn) <a href='http://b.cn'>b</a> ![c](img_key) `[d](e)` <link url='https://f'>f</link>"
        ),
    ),
    "a person mentioned by id": a_card(a_markdown("<at id=ou_1></at> <at ids='ou_1,ou_all2'></at>")),
    "everybody as escaped or plain text": a_card(
        a_markdown("&#60;at id=all&#62;"), a_div("<at id=all></at>")
    ),
    "a dash under a table in code": a_card(*[a_markdown("```\n| a |\n|---|\n```")] * 4),
}


@pytest.mark.parametrize("card", [pytest.param(card, id=name) for name, card in GOOD.items()])
def test_a_good_card_has_no_problems(card: Json) -> None:
    expected: list[object] = []

    assert expected == card_problems(card)


FIRST = "body.elements[0]"

BAD: list[tuple[str, object, list[tuple[str, str]]]] = [
    # the whole
    ("a card is an object", [], [("card", "wrong-type")]),
    ("an empty object", {}, [("schema", "missing-attribute"), ("body", "missing-attribute")]),
    ("schema 1.0", {**a_card(), "schema": "1.0"}, [("schema", "wrong-value")]),
    ("schema as a number", {**a_card(), "schema": 2.0}, [("schema", "wrong-value")]),
    ("unknown top key", a_card(card_links={}), [("card_links", "unknown-attribute")]),
    ("body without elements", {"schema": "2.0", "body": {}}, [("body.elements", "missing-attribute")]),
    ("an empty body", {"schema": "2.0", "body": {"elements": []}}, [("body.elements", "empty-body")]),
    ("elements is no list", {"schema": "2.0", "body": {"elements": {}}}, [("body.elements", "wrong-type")]),
    ("null", a_card(a_div(width=None)), [(f"{FIRST}.width", "null")]),
    ("null as a tag", a_card({"tag": None}), [(f"{FIRST}.tag", "null")]),
    ("null deep in a chart", a_card(a_chart(axes=None)), [(f"{FIRST}.chart_spec.axes", "null")]),
    ("too many elements", a_card(*[{"tag": "hr"}] * 201), [("card", "element-limit")]),
    ("card link nowhere", a_card(card_link={}), [("card_link.url", "missing-attribute")]),
    ("card link to a file", a_card(card_link={"url": "file:///etc"}), [("card_link.url", "bad-url")]),
    # config
    ("exclusive card", a_config(update_multi=False), [("config.update_multi", "wrong-value")]),
    ("width mode", a_config(width_mode="wide"), [("config.width_mode", "wrong-value")]),
    ("flag as a string", a_config(enable_forward="no"), [("config.enable_forward", "wrong-type")]),
    ("locale", a_config(locales=["zh-CN"]), [("config.locales[0]", "wrong-value")]),
    ("summary", a_config(summary={"text": "x"}), [("config.summary.text", "unknown-attribute")]),
    (
        "colour of one mode only",
        a_config(style={"color": {"mine": {"light_mode": "rgba(1,2,3,1)"}}}),
        [("config.style.color.mine.dark_mode", "missing-attribute")],
    ),
    (
        "colour by name",
        a_config(style={"color": {"mine": {"light_mode": "blue", "dark_mode": "rgba(1,2,3,1)"}}}),
        [("config.style.color.mine.light_mode", "wrong-value")],
    ),
    (
        "text size",
        a_config(style={"text_size": {"mine": {"pc": "giant"}}}),
        [("config.style.text_size.mine.pc", "wrong-value")],
    ),
    # header
    ("header without title", a_card(header={}), [("header.title", "missing-attribute")]),
    ("header colour", a_header(template="pink"), [("header.template", "wrong-value")]),
    (
        "four tags",
        a_header(text_tag_list=[a_header_tag()] * 4),
        [("header.text_tag_list", "header-tag-limit")],
    ),
    (
        "tag colour",
        a_header(i18n_text_tag_list={"en_us": [a_header_tag(color="pink")]}),
        [("header.i18n_text_tag_list.en_us[0].color", "wrong-value")],
    ),
    (
        "icon without token",
        a_header(icon={"tag": "standard_icon"}),
        [("header.icon.token", "missing-attribute")],
    ),
    ("icon without tag", a_header(icon={"img_key": "img"}), [("header.icon.tag", "missing-attribute")]),
    ("padding below nothing", a_header(padding="-1px"), [("header.padding", "wrong-value")]),
    # texts
    (
        "text without content",
        a_card({"tag": "div", "text": {"tag": "plain_text"}}),
        [(f"{FIRST}.text.content", "missing-attribute")],
    ),
    (
        "text with another tag",
        a_card(a_div() | {"text": a_text(tag="markdown")}),
        [(f"{FIRST}.text.tag", "wrong-value")],
    ),
    ("content as a number", a_card(a_div(3)), [(f"{FIRST}.text.content", "wrong-type")]),
    (
        "unknown language",
        a_card(a_div() | {"text": a_text(i18n_content={"zh-CN": "x"})}),
        [(f"{FIRST}.text.i18n_content.zh-CN", "unknown-attribute")],
    ),
    ("undeclared size", a_card(a_markdown("x", text_size="big")), [(f"{FIRST}.text_size", "wrong-value")]),
    # ids, places, nesting
    (
        "element id with a digit first",
        a_card(a_div(element_id="1a")),
        [(f"{FIRST}.element_id", "bad-element-id")],
    ),
    ("element id too long", a_card(a_div(element_id="a" * 21)), [(f"{FIRST}.element_id", "bad-element-id")]),
    (
        "element id twice",
        a_card(a_div(element_id="a"), a_column_set(a_div(element_id="a"))),
        [("body.elements[1].columns[0].elements[0].element_id", "duplicate-element-id")],
    ),
    ("component without tag", a_card({}), [(f"{FIRST}.tag", "missing-attribute")]),
    ("component that is a string", a_card("hr"), [(FIRST, "wrong-type")]),
    ("unknown component", a_card({"tag": "marquee"}), [(f"{FIRST}.tag", "unknown-component")]),
    ("column on its own", a_card({"tag": "column"}), [(f"{FIRST}.tag", "unknown-component")]),
    (
        "table in a column",
        a_card(a_column_set(a_table())),
        [(f"{FIRST}.columns[0].elements[0]", "not-allowed-here")],
    ),
    ("form in a panel", a_card(a_panel(a_form())), [(f"{FIRST}.elements[0]", "not-allowed-here")]),
    ("table in a form", a_card(a_form(a_table())), [(f"{FIRST}.elements[0]", "not-allowed-here")]),
    ("six containers", a_card(nested(6)), [(FIRST + ".columns[0].elements[0]" * 5, "nesting-limit")]),
    ("margin out of range", a_card(a_div(margin="100px")), [(f"{FIRST}.margin", "wrong-value")]),
    ("margin of three", a_card(a_div(margin="1px 2px 3px")), [(f"{FIRST}.margin", "wrong-value")]),
    ("margin as a number", a_card(a_div(margin=4)), [(f"{FIRST}.margin", "wrong-type")]),
    (
        "spacing",
        a_card(a_column_set(horizontal_spacing="8")),
        [(f"{FIRST}.horizontal_spacing", "wrong-value")],
    ),
    ("div width", a_card(a_div(width="15px")), [(f"{FIRST}.width", "wrong-value")]),
    (
        "image without alt",
        a_card({"tag": "img", "img_key": "img_1"}),
        [(f"{FIRST}.alt", "missing-attribute")],
    ),
    (
        "panel without header",
        a_card({"tag": "collapsible_panel", "elements": []}),
        [(f"{FIRST}.header", "missing-attribute")],
    ),
    # tables
    ("sixth table", a_card(*[a_table()] * 6), [("body.elements[5]", "table-limit")]),
    (
        "sixth table in Markdown",
        a_card(*[a_table()] * 5, a_markdown("x\n| a |\n|---|\n| 1 |")),
        [("body.elements[5]", "table-limit")],
    ),
    ("undeclared key", a_card(a_table({"b": 1})), [(f"{FIRST}.rows[0].b", "undeclared-column")]),
    ("page size", a_card(a_table(page_size=11)), [(f"{FIRST}.page_size", "wrong-value")]),
    ("page size as true", a_card(a_table(page_size=True)), [(f"{FIRST}.page_size", "wrong-type")]),
    ("row that is a list", a_card(a_table([])), [(f"{FIRST}.rows[0]", "wrong-type")]),
    (
        "number as text",
        a_card(a_table({"a": "1"}, data_type="number")),
        [(f"{FIRST}.rows[0].a", "wrong-type")],
    ),
    ("data type", a_card(a_table(data_type="money")), [(f"{FIRST}.columns[0].data_type", "wrong-value")]),
    (
        "long symbol",
        a_card(
            {
                "tag": "table",
                "rows": [],
                "columns": [{"name": "a", "data_type": "number", "format": {"symbol": "HK$"}}],
            }
        ),
        [(f"{FIRST}.columns[0].format.symbol", "text-limit")],
    ),
    (
        "column twice",
        a_card({"tag": "table", "rows": [], "columns": [{"name": "a", "data_type": "text"}] * 2}),
        [(f"{FIRST}.columns[1].name", "duplicate-column")],
    ),
    # clicks
    ("button with none", a_card(a_button(behaviors=[])), [(f"{FIRST}.behaviors", "missing-attribute")]),
    (
        "callback with a string",
        a_card(a_button(behaviors=[{"type": "callback", "value": "abc"}])),
        [(f"{FIRST}.behaviors[0].value", "wrong-type")],
    ),
    (
        "script as a link",
        a_card(a_button(behaviors=[{"type": "open_url", "default_url": "javascript:alert(1)"}])),
        [(f"{FIRST}.behaviors[0].default_url", "bad-url")],
    ),
    (
        "behavior of another kind",
        a_card(a_button(behaviors=[{"type": "form_action"}])),
        [(f"{FIRST}.behaviors[0].type", "wrong-value")],
    ),
    ("long button text", a_card(a_button(text=a_text("x" * 101))), [(f"{FIRST}.text.content", "text-limit")]),
    (
        "dialog without text",
        a_card(a_button(confirm={"title": a_text()})),
        [(f"{FIRST}.confirm.text", "missing-attribute")],
    ),
    ("button type", a_card(a_button(type="warning")), [(f"{FIRST}.type", "wrong-value")]),
    ("narrow button", a_card(a_button(width="99px")), [(f"{FIRST}.width", "wrong-value")]),
    (
        "submit outside a form",
        a_card(a_button(form_action_type="submit")),
        [(f"{FIRST}.form_action_type", "not-allowed-here")],
    ),
    # forms
    (
        "form without submit",
        a_card({"tag": "form", "name": "f", "elements": []}),
        [(f"{FIRST}.elements", "form-submit")],
    ),
    (
        "form without name",
        a_card({"tag": "form", "elements": [a_submit()]}),
        [(f"{FIRST}.name", "missing-attribute")],
    ),
    (
        "field without name",
        a_card(a_form({"tag": "input"})),
        [(f"{FIRST}.elements[0].name", "missing-attribute")],
    ),
    (
        "field with an empty name",
        a_card(a_form({"tag": "input", "name": ""})),
        [(f"{FIRST}.elements[0].name", "missing-attribute")],
    ),
    (
        "two fields of one name",
        a_card(a_form(a_column_set({"tag": "input", "name": "a"}, {"tag": "checker", "name": "a"}))),
        [(f"{FIRST}.elements[0].columns[0].elements[1].name", "duplicate-name")],
    ),
    (
        "required outside a form",
        a_card({"tag": "input", "required": True}),
        [(f"{FIRST}.required", "not-allowed-here")],
    ),
    ("option twice", a_card(a_select("a", "a")), [(f"{FIRST}.options[1].value", "duplicate-option")]),
    (
        "initial option",
        a_card(a_select("a", initial_option="b")),
        [(f"{FIRST}.initial_option", "wrong-value")],
    ),
    ("initial index", a_card(a_select("a", initial_index=2)), [(f"{FIRST}.initial_index", "wrong-value")]),
    # Markdown
    ("everybody", a_card(a_markdown("<at id=all></at>")), [(f"{FIRST}.content", "mention-all")]),
    (
        "everybody in quotes",
        a_card(a_markdown("<at id = 'all' ></at>")),
        [(f"{FIRST}.content", "mention-all")],
    ),
    (
        "everybody in a list",
        a_card(a_markdown("<at ids=ou_1,all></at>")),
        [(f"{FIRST}.content", "mention-all")],
    ),
    ("script in a link", a_card(a_markdown("[x](javascript:y)")), [(f"{FIRST}.content", "bad-url")]),
    (
        "script in a tag",
        a_card(a_markdown("<a href='data:text/html,x'>x</a>")),
        [(f"{FIRST}.content", "bad-url")],
    ),
    (
        "chart without type",
        a_card({"tag": "chart", "chart_spec": {}}),
        [(f"{FIRST}.chart_spec.type", "missing-attribute")],
    ),
    # what JSON cannot say
    ("not a number", a_card(a_chart(x=float("nan"))), [(f"{FIRST}.chart_spec.x", "wrong-value")]),
    ("a huge number", a_card(a_chart(x=10**5000)), [(f"{FIRST}.chart_spec.x", "wrong-value")]),
    ("half a character", a_card(a_div("\ud83d")), [(f"{FIRST}.text.content", "wrong-value")]),
    ("a tuple", a_card(({"tag": "hr"},)), [(FIRST, "wrong-type")]),
    ("a number as a key", a_card({1: 2}), [(FIRST, "wrong-type")]),
]


@pytest.mark.parametrize(
    "card, expected", [pytest.param(card, expected, id=name) for name, card, expected in BAD]
)
def test_a_bad_card_has_its_problem_named_at_its_place(card: object, expected: list[tuple[str, str]]) -> None:
    assert expected == found(card)


@pytest.mark.parametrize("tag", sorted(COMPONENTS))
def test_every_component_takes_an_id_and_a_margin(tag: str) -> None:
    paths = {path for path, _ in found(a_card({"tag": tag, "element_id": "x", "margin": "0"}))}

    assert {f"{FIRST}.element_id", f"{FIRST}.margin"}.isdisjoint(paths)


@pytest.mark.parametrize(
    "card, path, replacement",
    [
        ({**a_card(), "elements": []}, "elements", "body.elements"),
        ({**a_card(), "i18n_elements": {}}, "i18n_elements", "i18n_content"),
        ({**a_card(), "i18n_header": {}}, "i18n_header", "i18n_content"),
        (a_config(wide_screen_mode=True), "config.wide_screen_mode", "width_mode"),
        (a_header(ud_icon={}), "header.ud_icon", "icon"),
        (a_card({"tag": "action", "actions": []}), f"{FIRST}.tag", "column_set"),
        (a_card({"tag": "note", "elements": []}), f"{FIRST}.tag", "notation"),
        (a_card({"tag": "input", "value": {}}), f"{FIRST}.value", "behaviors"),
        (a_card(a_button(url="https://a.cn")), f"{FIRST}.url", "open_url"),
        (a_card(a_button(multi_url={})), f"{FIRST}.multi_url", "open_url"),
        (a_card(a_button(action_type="form_submit")), f"{FIRST}.action_type", "form_action_type"),
    ],
)
def test_a_leftover_of_card_json_1_is_told_its_replacement(card: Json, path: str, replacement: str) -> None:
    [problem] = card_problems(card)

    assert path == problem.path
    assert replacement in problem.message


@pytest.mark.parametrize(
    "card, meant",
    [
        (a_card(a_div(elementid="x")), "did you mean element_id?"),
        (a_card({"tag": "buton"}), "did you mean button?"),
        (a_card(a_div() | {"text": a_text(i18n_content={"zh-CN": "x"})}), "did you mean zh_cn?"),
        (
            a_card(
                {"tag": "table", "columns": [{"name": "amount", "data_type": "text"}], "rows": [{"amont": 1}]}
            ),
            "amount?",
        ),
    ],
)
def test_a_slip_of_the_pen_is_answered_with_what_was_meant(card: Json, meant: str) -> None:
    [problem] = card_problems(card)

    assert meant in problem.message


@pytest.mark.parametrize(
    "text",
    [
        "13812345678",
        "电话13812345678。",
        "call 138 1234 5678 now",
        "138-1234-5678",
        "+86 138 1234 5678",
        "+8613812345678",
        "8613812345678",
        "+1 415 555 0123",
        "+14155550123",
        "010-12345678",
        "0755-1234567",
        "a.b+c@example.com",
        "写信给li@example.com.cn吧",
    ],
)
def test_contact_data_is_refused_in_any_visible_text(text: str) -> None:
    cards = [
        a_card(a_div(text)),
        a_card(a_markdown(text)),
        a_card(a_markdown(text.replace("-", "&#45;").replace("+", "&#43;"))),
        a_card(a_div() | {"text": a_text(i18n_content={"en_us": text})}),
        a_card(a_table({"a": text})),
        a_card(a_table({"a": [{"text": text}]}, data_type="options")),
        a_card(a_select("x", placeholder=a_text(text))),
        a_card(a_chart(title={"text": text})),
        a_card({"tag": "checker", "text": a_text(text)}),
        a_config(summary={"content": text}),
        a_header(subtitle=a_text(text)),
    ]

    assert [["contact-data"]] * len(cards) == [[rule for _, rule in found(card)] for card in cards]


def test_contact_data_is_not_repeated_in_the_message() -> None:
    [problem] = card_problems(a_card(a_div("13812345678")))

    assert "138" not in problem.message


@pytest.mark.parametrize(
    "text",
    [
        "¥1,234,567.00",
        "¥13812345678.00",
        "¥13812345678",
        "CNY 13812345678",
        "13,812,345,678",
        "13812345678.50",
        "13812345678 元",
        "+1,234,567.00 points",
        "+12345678 points",
        "+1.234.567.890,00 €",
        "+1\u00a0234\u00a0567\u00a0890,00 €",
        "6975678901234567890",
        "1700000000000",
        "2024-06-30 13:00:00",
        "2024-06-30T13:00:00+08:00",
        "20240630130000",
        "ou_13812345678",
        "WD-13812345678",
        "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "138****5678",
        "@all hands",
        "1 @ 2.5",
    ],
)
def test_money_ids_and_dates_are_no_contact_data(text: str) -> None:
    expected: list[object] = []

    assert expected == found(a_card(a_div(text), a_markdown(text), a_table({"a": text})))


@pytest.mark.parametrize("millisecond", ["1700000000000", "13812345678"])
def test_a_time_inside_a_tag_is_no_phone_number(millisecond: str) -> None:
    tag = f"<local_datetime millisecond='{millisecond}' format_type='date_num' link=''></local_datetime>"

    expected: list[object] = []

    assert expected == found(a_card(a_markdown(f"As of {tag}")))


def test_a_whole_number_in_a_text_cell_is_read_as_it_is_shown() -> None:
    assert [(f"{FIRST}.rows[0].a", "contact-data")] == found(a_card(a_table({"a": 13812345678})))


def test_size_counts_bytes_of_compact_utf_8() -> None:
    card = a_card(a_div("余额"))
    size = len(json.dumps(card, ensure_ascii=False, separators=(",", ":")).encode())

    expected: list[list[tuple[str, str]]] = [[], [("card", "size-limit")]]

    assert expected == [found(card, max_bytes=size), found(card, max_bytes=size - 1)]


def test_a_card_with_more_values_than_bytes_allowed_is_read_no_further() -> None:
    expected = [("card", "size-limit")]

    assert expected == found(a_card(*[1] * 100), max_bytes=50)


def test_elements_are_components_columns_tags_and_plain_texts() -> None:
    card = a_card(
        a_div(),  # 2
        {"tag": "div", "text": a_text(tag="lark_md"), "icon": {"tag": "custom_icon", "img_key": "x"}},  # 1
        a_column_set({"tag": "hr"}),  # 3
        a_button(behaviors=[{"type": "callback", "value": {"tag": "mine"}}]),  # 2
        header={"title": a_text(), "text_tag_list": [a_header_tag()]},  # 3
    )

    expected = 11

    assert expected == element_count(card)


@pytest.mark.parametrize("value", [None, 1, "hr", [], {"tag": 1}])
def test_what_is_no_card_has_no_elements(value: object) -> None:
    expected = 0

    assert expected == element_count(value)


def test_problems_come_in_document_order() -> None:
    card = {
        "header": {"template": "pink", "title": None},
        "body": {
            "elements": [
                a_table({"b": 1}, page_size=0),
                a_div(width=None, wide=1),
                {"tag": "note"},
            ],
        },
        "colour": 1,
    }

    expected = [
        ("header.template", "wrong-value"),
        ("header.title", "null"),
        ("body.elements[0].rows[0].b", "undeclared-column"),
        ("body.elements[0].page_size", "wrong-value"),
        ("body.elements[1].width", "null"),
        ("body.elements[1].wide", "unknown-attribute"),
        ("body.elements[2].tag", "schema-1-component"),
        ("colour", "unknown-attribute"),
        ("schema", "missing-attribute"),
    ]

    assert expected == found(card)


def test_at_most_fifty_problems_are_told_and_they_are_the_first() -> None:
    problems = card_problems(a_card(*[{"tag": "note"}] * 190))

    assert [f"body.elements[{index}].tag" for index in range(50)] == [problem.path for problem in problems]


def test_a_strange_key_is_quoted_in_the_path() -> None:
    expected = [("[“a\ufffdb c”]", "unknown-attribute")]

    assert expected == found({**a_card(), "a\nb c": 1})


def test_checking_leaves_the_card_as_it_is() -> None:
    before = copy.deepcopy(ORDINARY)

    card_problems(ORDINARY)

    assert before == ORDINARY


@pytest.mark.parametrize("kind", ["list", "object"])
@pytest.mark.parametrize("place", ["alone", "element", "chart"])
def test_ten_thousand_levels_are_a_problem_and_no_error(kind: str, place: str) -> None:
    deep: object = "bottom"
    for _ in range(10_000):
        deep = [deep] if kind == "list" else {"x": deep}
    card = {"alone": deep, "element": a_card(deep), "chart": a_card(a_chart(data=deep))}[place]

    expected = ["nesting-limit"]

    assert expected == [rule for _, rule in found(card)]


def test_a_list_that_holds_itself_is_a_problem_and_no_endless_run() -> None:
    ring: list[object] = []
    ring += [ring, ring]

    expected = ["nesting-limit"]

    assert expected == [rule for _, rule in found(ring)]


JSON_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None))
ANY_JSON = st.recursive(
    JSON_LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=30
)
KNOWN_WORDS = st.sampled_from(
    sorted(
        {key for shape in COMPONENTS.values() for key in shape.attributes}
        | {"value", "type", "title", "text"}
    ),
)
CARDLIKE = st.recursive(
    JSON_LEAVES | st.sampled_from([*COMPONENTS, "plain_text", "lark_md", "callback", "4px", "| a |\n|--|"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KNOWN_WORDS, inner, max_size=5)
        | st.builds(
            lambda tag, more: more | {"tag": tag},
            st.sampled_from(sorted(COMPONENTS)),
            st.dictionaries(KNOWN_WORDS, inner, max_size=4),
        )
    ),
    max_leaves=25,
)


@given(
    card=ANY_JSON
    | st.builds(a_card, CARDLIKE, CARDLIKE)
    | st.dictionaries(st.sampled_from(["schema", "config", "header", "body", "card_link"]), CARDLIKE)
)
def test_no_json_value_makes_the_check_raise(card: object) -> None:
    problems = card_problems(card)

    assert len(problems) <= 50
    assert all(problem.message.endswith((".", "?")) for problem in problems)
    assert element_count(card) >= 0


@given(text=st.text(alphabet="<>at id=all,'\"[]()|-:`\n+1389@.a&#;", max_size=200))
def test_no_markdown_makes_the_check_raise(text: str) -> None:
    assert {f"{FIRST}.content"} >= {path for path, _ in found(a_card(a_markdown(text)))} - {FIRST}
