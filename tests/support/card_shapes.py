"""Cards of the shapes that bots send, built from parameters, with the rules that each one breaks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

NO_SUMMARY = "summary-missing"
CHINESE, ENGLISH = "余额变动", "Balance changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardCase:
    """A card and the rules that the linter must name, each once."""

    name: str
    card: Any
    rules: frozenset[str]


def text(content: str = "Hello", tag: str = "plain_text", **more: Any) -> Json:
    return {"tag": tag, "content": content, **more}


def both(zh: str = CHINESE, en: str = ENGLISH, tag: str = "plain_text", **more: Any) -> Json:
    return {"tag": tag, "content": zh, "i18n_content": {"zh_cn": zh, "en_us": en}, **more}


def div(content: str = "Hello", **style: Any) -> Json:
    return {"tag": "div", "text": text(content, **style)}


def markdown(content: str = "**Hello**", **more: Any) -> Json:
    return {"tag": "markdown", "content": content, **more}


def button(label: str = "Open", **more: Any) -> Json:
    return {"tag": "button", "text": text(label), "behaviors": [callback()], **more}


def link_button(**links: Any) -> Json:
    behavior = {"type": "open_url", "default_url": "https://example.com/a", **links}
    return {"tag": "button", "text": text("Open"), "behaviors": [behavior]}


def callback(**value: Any) -> Json:
    return {"type": "callback", "value": value or {"id": "1"}}


def columns(*elements: Json, count: int = 1, **more: Any) -> Json:
    column = {"tag": "column", "width": "weighted", "weight": 1, "elements": list(elements)}
    return {"tag": "column_set", "columns": [column] * count, **more}


def panel(*elements: Json, **header: Any) -> Json:
    return {
        "tag": "collapsible_panel",
        "header": {"title": text("Details"), **header},
        "elements": list(elements),
    }


def table(rows: int = 2, data_type: str = "text", cell: Any = "x", **more: Any) -> Json:
    column = {"name": "a", "display_name": "A", "data_type": data_type}
    return {"tag": "table", "columns": [column], "rows": [{"a": cell}] * rows, **more}


def markdown_table() -> str:
    return "| a | b |\n|---|---|\n| 1 | 2 |\n"


def chart(kind: str = "bar", spec: Json | None = None, **more: Any) -> Json:
    chart_spec = {"type": kind, "data": {"values": [{"k": "a", "v": 1}]}, "xField": "k", "yField": "v"}
    return {"tag": "chart", "chart_spec": {**chart_spec, **(spec or {})}, **more}


def image(**more: Any) -> Json:
    return {"tag": "img", "img_key": "img_v3_1", "alt": text(""), **more}


def field(tag: str = "input", name: str = "reason", **more: Any) -> Json:
    return {"tag": tag, "name": name, **more}


def select(*values: str, **more: Any) -> Json:
    options = [{"text": text(value), "value": value} for value in values]
    return {"tag": "select_static", "options": options, **more}


def submit(**more: Any) -> Json:
    return {"tag": "button", "name": "send", "text": text("Send"), "form_action_type": "submit", **more}


def form(*elements: Json, **more: Any) -> Json:
    return {"tag": "form", "name": "answers", "elements": [*elements, submit()], **more}


def nested(depth: int) -> Json:
    inner = div()
    for _ in range(depth):
        inner = columns(inner)
    return inner


def card(*elements: Any, config: Json | None = None, **more: Any) -> Json:
    """A card with a summary, and with the settings that a card with a callback needs."""
    settings = {"update_multi": True, "enable_forward": False, "summary": {"content": "Hello"}}
    return {
        "schema": "2.0",
        "config": {**settings, **(config or {})},
        "body": {"elements": list(elements) or [div()]},
        **more,
    }


def header(**more: Any) -> Json:
    return card(header={"title": text("Title"), **more})


def without(made: Json, *keys: str) -> Json:
    return made | {"config": {key: value for key, value in made["config"].items() if key not in keys}}


def _case(name: str, made: Any, *rules: str) -> CardCase:
    return CardCase(name=name, card=made, rules=frozenset(rules))


def _texts() -> Iterator[CardCase]:
    for size in ("heading-0", "heading-1", "heading", "normal", "notation", "xxxx-large", "x-small"):
        yield _case(f"text size {size}", card(div(text_size=size)))
    for size in ("normal_v2", "notation_small_v2"):
        yield _case(f"text size {size}", card(div(text_size=size)), "text-size-no-effect")
        yield _case(f"Markdown size {size}", card(markdown(text_size=size)), "text-size-no-effect")
    for colour in ("default", "red", "grey", "blue-50", "rgba(1,2,3,0.5)"):
        yield _case(f"text colour {colour}", card(div(text_color=colour)))
    for colour in ("#fff", "#1f2329", "#1F2329FF"):
        yield _case(f"text colour {colour}", card(div(text_color=colour)), "hex-colour")
        yield _case(f"background {colour}", card(columns(div(), background_style=colour)), "hex-colour")
    for colour in ("purpel", "#12", "rgb(1,2,3)"):
        yield _case(f"text colour {colour}", card(div(text_color=colour)), "wrong-value")
    for align in ("left", "center", "right"):
        yield _case(f"text align {align}", card(div(text_align=align), markdown(text_align=align)))
    yield _case("text align middle", card(div(text_align="middle")), "wrong-value")
    yield _case("text in lark_md", card({"tag": "div", "text": text("**b**", tag="lark_md")}))
    yield _case("text colour of another name", card(div(text_colour="red")), "unknown-attribute")


def _markdown() -> Iterator[CardCase]:
    fine = {
        "headings": "# a\n## b\n###### c",
        "a list in a list": "- a\n    - b\n        - c\n- d",
        "a numbered list": "1. a\n    1. b\n2. c",
        "code": "```\n    indented <div>\n```",
        "inline code": "`<span>` and `[x](tel://1)`",
        "links": "[a](https://a.example) <a href='https://a.example'>b</a>",
        "a font": "<font color='red'>x</font><br><text_tag color='green'>ok</text_tag>",
        "a time": "<local_datetime millisecond='1700000000000' format_type='date'></local_datetime>",
        "a person": "<person id='ou_1' show_name=true style='normal'></person> <at id=ou_1></at>",
        "a table": markdown_table(),
        "a picture": "![x](img_v3_1)",
    }
    for name, content in fine.items():
        yield _case(f"Markdown with {name}", card(markdown(content)))
    for tag in ("div", "b", "span", "p", "img", "h1"):
        yield _case(f"Markdown with <{tag}>", card(markdown(f"<{tag}>x</{tag}>")), "markdown-html")
    for indent in ("    ", "        ", "\t"):
        yield _case(f"Markdown indented by {indent!r}", card(markdown(f"a\n\n{indent}b")), "markdown-indent")
    yield _case(
        "indented in English only",
        card(markdown("a", i18n_content={"zh_cn": "a", "en_us": "    b"})),
        "markdown-indent",
    )
    yield _case("a phone link", card(markdown("[call](tel://10086)")), "tel-link")
    for link in ("javascript:x", "file:///etc/passwd", "ftp://a.example", "www.example.com"):
        yield _case(f"a link to {link}", card(markdown(f"[x]({link})")), "bad-url")
    for mention in ("id=all", "id='all'", "ids=ou_1,all"):
        yield _case(f"a mention with {mention}", card(markdown(f"<at {mention}></at>")), "mention-all")
    for contact in ("13812345678", "+86 138 1234 5678", "li@example.com"):
        yield _case(f"contact data {contact}", card(markdown(contact), div()), "contact-data")
    five = "\n\n".join([markdown_table()] * 5)
    yield _case("five tables in one text", card(markdown(five)), "table-count")


def _layout() -> Iterator[CardCase]:
    for mode in ("none", "stretch", "flow", "bisect", "trisect"):
        yield _case(f"columns in mode {mode}", card(columns(div(), count=3, flex_mode=mode)))
    for mode in ("stretch", "flow", "bisect"):
        fixed = columns(div(), flex_mode=mode) | {
            "columns": [{"tag": "column", "width": "80px", "elements": [div()]}]
        }
        yield _case(f"a fixed column in mode {mode}", card(fixed), "column-width")
    for depth in range(1, 6):
        yield _case(f"{depth} containers", card(nested(depth)))
    for depth in (6, 7):
        yield _case(f"{depth} containers", card(nested(depth)), "nesting-limit")
    for width, mode, rules in (
        ("600px", "default", ()),
        ("601px", "default", ("too-wide",)),
        ("401px", "compact", ("too-wide",)),
        ("900px", "fill", ()),
    ):
        wide = card(div() | {"width": width}, config={"width_mode": mode})
        yield _case(f"{width} in a {mode} card", wide, *rules)
    for margin, rules in (
        ("4px", ()),
        ("-99px 0 0 4px", ()),
        ("100px", ("wrong-value",)),
        ("1px 2px 3px", ("wrong-value",)),
    ):
        yield _case(f"margin {margin}", card({"tag": "hr", "margin": margin}), *rules)
    for element_id, rules in (
        ("a", ()),
        ("a" * 20, ()),
        ("a" * 21, ("bad-element-id",)),
        ("1a", ("bad-element-id",)),
    ):
        yield _case(f"id {element_id}", card({"tag": "hr", "element_id": element_id}), *rules)
    twice = card({"tag": "hr", "element_id": "a"}, {"tag": "hr", "element_id": "a"})
    yield _case("one id twice", twice, "duplicate-element-id")
    for size, rules in (("40px 40px", ()), ("large", ()), ("huge", ("wrong-value",))):
        yield _case(f"image of size {size}", card(image(size=size)), *rules)
    yield _case("image without alt", card({"tag": "img", "img_key": "img_v3_1"}), "missing-attribute")
    yield _case("a panel", card(panel(div(), chart())))
    yield _case("a folded header", card(panel(div(), width="auto_when_fold")), "client-version")
    yield _case("a table in a panel", card(panel(table())), "not-allowed-here")
    yield _case("people", card({"tag": "person_list", "persons": [{"id": "ou_1"}]}), "person-list-ids")
    safe = {"tag": "person_list", "persons": [{"id": "ou_1"}], "drop_invalid_user_id": True}
    yield _case("people without invalid ids", card(safe))
    yield _case("a person", card({"tag": "person", "user_id": "ou_1", "show_name": True}))


def _data() -> Iterator[CardCase]:
    cells: dict[str, Any] = {
        "text": "x",
        "lark_md": "**x**",
        "markdown": "# x",
        "number": 1.5,
        "options": [{"text": "x", "color": "red"}],
        "persons": ["ou_1"],
        "date": 1700000000000,
    }
    for data_type, cell in cells.items():
        yield _case(f"cells of type {data_type}", card(table(data_type=data_type, cell=cell)))
    for data_type, cell in (("number", "1"), ("date", "today"), ("text", ["x"]), ("lark_md", 1)):
        yield _case(
            f"a wrong cell of type {data_type}", card(table(data_type=data_type, cell=cell)), "wrong-type"
        )
    for count in range(1, 8):
        rules = ("table-limit", "table-count")[:1] if count > 5 else ("table-count",) if count > 3 else ()
        expected = {"table-limit", "table-count"} if count > 5 else set(rules)
        yield _case(f"{count} tables", card(*[table()] * count), *expected)
        mixed = card(*[table()] * (count - 1), markdown(markdown_table()))
        yield _case(f"{count} tables, one in Markdown", mixed, *expected)
    for rows, rows_rules in ((50, ()), (51, ("row-limit",)), (80, ("row-limit",))):
        yield _case(f"{rows} rows", card(table(rows)), *rows_rules)
    wide = {
        "tag": "table",
        "rows": [],
        "columns": [{"name": f"c{n}", "data_type": "text"} for n in range(51)],
    }
    yield _case("51 columns", card(wide), "column-limit")
    yield _case(
        "one column twice",
        card(table() | {"columns": [{"name": "a", "data_type": "text"}] * 2}),
        "duplicate-column",
    )
    yield _case("a key without a column", card(table() | {"rows": [{"b": 1}]}), "undeclared-column")
    for height, height_rules in (
        ("low", ()),
        ("40px", ()),
        ("auto", ("client-version",)),
        ("20px", ("wrong-value",)),
    ):
        yield _case(f"row height {height}", card(table(row_height=height)), *height_rules)
    for kind in (
        "line",
        "area",
        "bar",
        "pie",
        "funnel",
        "scatter",
        "radar",
        "linearProgress",
        "wordCloud",
        "common",
    ):
        yield _case(f"a chart of type {kind}", card(chart(kind)))
    for count in (5, 6):
        yield _case(f"{count} charts", card(*[chart()] * count), *(["chart-count"] if count > 5 else []))
    for ratio in ("16:9", "1:1", "2:1"):
        yield _case(f"a chart of {ratio}", card(chart(aspect_ratio=ratio)), "chart-aspect-ratio")
        yield _case(f"a chart of {ratio} with a height", card(chart(aspect_ratio=ratio, height="200px")))
    for spec in (
        {"bar": {"style": {"texture": "circle"}}},
        {"color": {"gradient": "conical"}},
        {"wordCloudConfig": {"layoutMode": "grid"}},
    ):
        yield _case(f"a chart with {spec}", card(chart(spec=spec)), "chart-phone")
    yield _case("a chart with null", card(chart(spec={"axes": None})), "null")
    yield _case("a chart in a form", card(form(chart())), "chart-place")
    held = {"tag": "interactive_container", "behaviors": [callback()], "elements": [chart()]}
    yield _case("a chart in a container", card(held), "chart-place")
    yield _case("a chart in columns", card(columns(columns(chart()))))
    yield _case("a chart without type", card({"tag": "chart", "chart_spec": {}}), "missing-attribute")


def _clicks() -> Iterator[CardCase]:
    for kind in ("default", "primary", "danger", "text", "primary_filled", "laser"):
        yield _case(f"a button of type {kind}", card(button(type=kind)))
    for size in ("tiny", "small", "medium", "large"):
        yield _case(f"a button of size {size}", card(button(size=size)))
    for length in (1, 50, 100):
        yield _case(f"a button of {length} characters", card(button("x" * length)))
    for length in (101, 200):
        yield _case(f"a button of {length} characters", card(button("x" * length)), "text-limit")
    yield _case("a button with a link", without(card(link_button()), "enable_forward"))
    yield _case("a button with a link for phones", card(link_button(ios_url="https://example.com/i")))
    yield _case("a link without a scheme", card(link_button(default_url="example.com")), "bad-url")
    yield _case("a button with hover tips", card(button(hover_tips=text("Tip"))), "hover-tips")
    yield _case(
        "a button without behaviors", card({"tag": "button", "text": text()}), "button-without-action"
    )
    yield _case("a disabled button", card({"tag": "button", "text": text(), "disabled": True}))
    yield _case(
        "a button with a value", card({"tag": "button", "text": text(), "value": {"a": 1}}), "button-value"
    )
    yield _case("a button with both", card(button(value={"a": 1})), "button-value")
    yield _case(
        "a callback with a string", card(button(behaviors=[{"type": "callback", "value": "x"}])), "wrong-type"
    )
    yield _case("no behavior", card(button(behaviors=[])), "missing-attribute", "button-without-action")
    yield _case("a dialog", card(button(confirm={"title": text("Sure?"), "text": text("All")})))
    yield _case("a dialog without text", card(button(confirm={"title": text("Sure?")})), "missing-attribute")
    for setting in ({}, {"enable_forward": True}):
        made = without(card(button()), "enable_forward")
        yield _case(f"a button and {setting}", made | {"config": made["config"] | setting}, "forward-button")
    yield _case(
        "a button of 1.0",
        card({"tag": "button", "text": text(), "url": "https://a.example", "disabled": True}),
        "schema-1-attribute",
    )
    forwarded = card(button(), config={"enable_forward_interaction": True})
    yield _case("buttons of copies", forwarded, "forward-interaction")
    yield _case("no update_multi", without(card(button()), "update_multi"), "update-multi")


def _forms() -> Iterator[CardCase]:
    for tag in (
        "input",
        "checker",
        "date_picker",
        "picker_time",
        "picker_datetime",
        "select_person",
        "multi_select_static",
    ):
        yield _case(f"a form with {tag}", card(form(field(tag))))
        yield _case(f"a form with {tag} without name", card(form({"tag": tag})), "missing-attribute")
    yield _case("a form with a select", card(form(select("a", "b", name="choice"))))
    yield _case("an option twice", card(form(select("a", "a", name="choice"))), "duplicate-option")
    yield _case(
        "a form without submit", card({"tag": "form", "name": "f", "elements": [field()]}), "form-submit"
    )
    yield _case("two fields of one name", card(form(field(), field())), "duplicate-name")
    both_ways = {"tag": "form", "name": "f", "elements": [submit(behaviors=[callback()])]}
    yield _case("a submit button with behaviors", card(both_ways), "submit-behaviors")
    yield _case("a form in columns", card(columns(form())), "not-allowed-here")
    yield _case("a long placeholder", card(form(field(placeholder=text("x" * 101)))), "text-limit")
    yield _case("an input outside a form", card(field(behaviors=[callback()])))
    yield _case("required outside a form", card(field(required=True)), "not-allowed-here")


def _whole() -> Iterator[CardCase]:
    for template in (
        "blue",
        "wathet",
        "turquoise",
        "green",
        "yellow",
        "orange",
        "red",
        "carmine",
        "violet",
        "grey",
    ):
        yield _case(f"a {template} header", header(template=template))
    for template in ("pink", "#00ff00"):
        yield _case(f"a {template} header", header(template=template), "wrong-value")
    tag = {"tag": "text_tag", "text": text("new"), "color": "blue"}
    for count in (1, 3, 4):
        rules = ["header-tag-limit"] if count > 3 else []
        yield _case(f"{count} header tags", header(text_tag_list=[tag] * count), *rules)
    for lines in (1, 4, 5):
        rules = ["header-lines"] if lines > 4 else []
        yield _case(f"a title of {lines} lines", header(title=text("\n".join("x" * lines))), *rules)
    yield _case("a subtitle of two lines", header(subtitle=text("a\nb")), "header-lines")
    yield _case("no summary", without(card(), "summary"), NO_SUMMARY)
    yield _case("no config", {"schema": "2.0", "body": {"elements": [div()]}}, NO_SUMMARY)
    yield _case("no elements", card() | {"body": {"elements": []}}, "empty-body")
    for count in (199, 200):
        yield _case(f"{count} elements", card(*[{"tag": "hr"}] * count))
    yield _case("201 elements", card(*[{"tag": "hr"}] * 201), "element-limit")
    for size, size_rules in (
        (20_000, ()),
        (26_000, ("size-near-limit",)),
        (29_500, ("size-near-limit",)),
        (31_000, ("size-limit",)),
    ):
        yield _case(f"{size} bytes", card(markdown("x" * size)), *size_rules)
    for old in ("action", "note"):
        yield _case(f"a component {old}", card({"tag": old}), "schema-1-component")
    yield _case("an unknown component", card({"tag": "marquee"}), "unknown-component")
    yield _case("wide_screen_mode", card(config={"wide_screen_mode": True}), "schema-1-attribute")
    yield _case("a private card", card(config={"update_multi": False}), "wrong-value")
    yield _case("a null", card(div() | {"width": None}), "null")
    yield _case("a list", [], "wrong-type")


def _languages() -> Iterator[CardCase]:
    yield _case("both languages", card(_div(both())))
    yield _case("only Chinese", card(_div(text(CHINESE))))
    yield _case("a figure beside both", card(_div(both()), div("¥1,200.00")))
    yield _case("Chinese beside both", card(_div(both()), div(CHINESE)), "language-missing")
    yield _case("Chinese Markdown beside both", card(_div(both()), markdown(CHINESE)), "language-missing")
    half = text(CHINESE, i18n_content={"zh_cn": CHINESE})
    yield _case("one language beside both", card(_div(both()), _div(half)), "language-missing")
    three = both() | {"i18n_content": {"zh_cn": "a", "en_us": "b", "ja_jp": "c"}}
    yield _case("three beside two", card(_div(three), _div(both())), "language-missing")
    yield _case("Chinese options", card(_div(both()), select(CHINESE)))
    for locales, rules in ((["zh_cn", "en_us"], ()), (["zh_cn"], ("locale-inactive",))):
        yield _case(f"locales {locales}", card(_div(both()), config={"locales": locales}), *rules)
    for title, rules in ((CHINESE, ("language-missing",)), (f"{CHINESE} {ENGLISH}", ()), ("ID 编号", ())):
        column = {"name": "a", "display_name": title, "data_type": "text"}
        titled = card(_div(both()), table() | {"columns": [column]})
        yield _case(f"a column {title}", titled, *rules)
    chinese_summary = card(_div(both()), config={"summary": {"content": CHINESE}})
    yield _case("a Chinese summary beside both", chinese_summary, "language-missing")


def _div(shown: Json) -> Json:
    return {"tag": "div", "text": shown}


def _frames() -> Iterator[CardCase]:
    good, bad = card(), card(div(text_size="giant"))
    for name, made, rules in (("good", good, ()), ("bad", bad, ("wrong-value",))):
        yield _case(f"a {name} card in a message", {"msg_type": "interactive", "card": made}, *rules)
        yield _case(f"a {name} card as content", {"msg_type": "interactive", "content": made}, *rules)
        yield _case(
            f"a {name} card in an answer", {"toast": {}, "card": {"type": "raw", "data": made}}, *rules
        )
        yield _case(f"a {name} export", {"name": "x", "dsl": made, "variables": []}, *rules)
    data = {"template_id": "AAq1", "template_version_name": "1.0.0", "template_variable": {}}
    yield _case("a template", {"type": "template", "data": data})
    yield _case(
        "a template in a message", {"msg_type": "interactive", "card": {"type": "template", "data": data}}
    )
    yield _case(
        "a template without version",
        {"type": "template", "data": {"template_id": "AAq1"}},
        "template-version",
    )
    unnamed = {"type": "template", "data": {"template_version_name": "1.0.0"}}
    yield _case("a template without id", unnamed, "missing-attribute")
    yield _case("an entity", {"type": "card", "data": {"card_id": "7"}})
    yield _case("an entity without id", {"type": "card", "data": {}}, "missing-attribute")
    yield _case("a text message", {"msg_type": "text", "content": "{}"}, "wrong-value")
    variables = card({"tag": "person", "user_id": "${who}", "size": "${size}"})
    yield _case("an export with variables", {"name": "x", "dsl": variables})
    old = {
        "config": {"wide_screen_mode": True},
        "elements": [{"tag": "action", "actions": []}, {"tag": "note"}],
    }
    yield _case("a card of 1.0", old, "schema-1")
    yield _case("a card of 1.0 that says so", old | {"schema": "1.0"}, "schema-1")
    yield _case("a card of 1.0 with languages", {"i18n_elements": {"zh_cn": []}, "header": {}}, "schema-1")
    yield _case("a card of 1.0 with wrong elements", {"elements": {}}, "schema-1", "wrong-type")
    yield _case("a card of 1.0 without elements", {"schema": "1.0"}, "schema-1", "missing-attribute")


CASES = tuple(
    case
    for cases in (_texts, _markdown, _layout, _data, _clicks, _forms, _whole, _languages, _frames)
    for case in cases()
)
