"""Templates: data never becomes JSON structure, markup, a mention or template code, whatever it says."""

import html
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.cards.balance_text import person
from notifier.cards.placeholders import escape_markdown
from notifier.cards.rules import card_problems
from notifier.cards.templates import (
    BALANCE_TEMPLATES,
    OUR_TEMPLATES,
    CardTemplates,
    shipped_templates,
)
from notifier.config.settings import Config
from notifier.domain.account import Referrer
from notifier.domain.card import BalanceChangeCard, Bilingual
from notifier.domain.delivery import CardVariant
from notifier.errors import TemplateBroken
from notifier.operations.sample_cards import make_sample

HOSTILE = [
    'quotes " and \' and \\ backslashes \\" \\u0022',
    "line\nbreaks\r\n# and headings",
    "<at id=all></at>",
    "<at id='ou_1'></at><font color='red'>x</font>",
    "[x](http://e.invalid)",
    "**bold** *italic* ~~gone~~ `code` _under_ $x$",
    "{{ 7*7 }} {% raw %} {# gone #}",
    '", "tag": "img", "x": "',
    "\u202eabc\u2066 \u200f",
    "🎉👩‍👩‍👧 长",
    "\ue0000\ue001 \ue000 \ue001",
    "\x00\x1f",
    "x" * 100_000,
]
MARKUP = re.compile(r"[<>*\[\]`~_|]")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "templates"
    folder.mkdir()
    return folder


def render(folder: Path, source: str, **context: object) -> dict[str, Any]:
    """What a template with this source gives."""
    (folder / "mine.json.j2").write_text(source, encoding="utf-8")
    return CardTemplates(folder).render("mine.json.j2", context)


def broken(folder: Path, source: str, **context: object) -> str:
    """The complaint about a template with this source."""
    with pytest.raises(TemplateBroken) as complaint:
        render(folder, source, **context)
    return str(complaint.value)


# data stays data


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    "source",
    [
        '{"x": "{{ text }}"}',
        '{"tag": "plain_text", "x": "{{ text }}"}',
        '{"tag": "plain_text", "x": "{{ "" ~ text }}"}',
        '{"x": "{{ "%s" | format(text) }}"}',
        '{"x": "{{ [text] | join("") }}"}',
        '{"x": "{{ text | string }}"}',
        '{"x": "{% set other = text %}{{ other }}"}',
        '{"x": "{% set block %}{{ text }}{% endset %}{{ block }}"}',
        '{% macro m(t) %}{{ t }}{% endmacro %}{"x": "{{ m(text) }}"}',
        '{% macro m(t) %}{{ t }}{% endmacro %}{"x": "{{ m(m(text)) }}"}',
        '{"x": "{% autoescape false %}{{ text }}{% endautoescape %}"}',
        '{"x": {{ text | tojson }}}',
        '{% set both = {"x": text} %}{{ both | tojson }}',
    ],
)
def test_any_text_arrives_in_plain_text_as_it_is(own: Path, source: str, text: str) -> None:
    assert text == render(own, source, text=text)["x"]


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_may_be_a_key(own: Path, text: str) -> None:
    assert {text: 1} == render(own, "{{ {text: 1} | tojson }}", text=text)


MACRO = "{% macro m() %}a%s{% endmacro %}"
BLOCK = "{% set m %}a{% endset %}"
CALLED = "{% macro m() %}{{ caller() }}{% endmacro %}"
TAGGED = '{% macro m(tag, t) %}{"tag": "{{ tag }}", "content": "{{ t }}"}{% endmacro %}'
MARKDOWN_TEXTS = {
    "as it is": "{{ text }}",
    "in an attribute": "<font color={{ text }}>",
    "joined with text": '{{ "a" ~ text ~ "b" }}',
    "joined with a macro": MACRO + "{{ m() ~ text }}",
    "joined with a block": BLOCK + "{{ text ~ m }}",
    "added to a macro": MACRO + "{{ m() + text }}",
    "added before a macro": MACRO + "{{ text + m() }}",
    "a list joined with a macro": MACRO + '{{ [m(), text] | join(" ") }}',
    "formatted into a macro": MACRO + "{{ m() | format(text) }}",
    "formatted with a sign": MACRO + "{{ m() % text }}",
    "replaced in a macro": MACRO + '{{ m() | replace("a", text) }}',
    "a macro replaced in it": MACRO + '{{ text | replace("x", m()) }}',
    "a macro indented by it": MACRO + "{{ m() | indent(text, first=true) }}",
    "a macro cut short by it": MACRO + "{{ m() | truncate(1, true, text, 0) }}",
    "replace of a macro": MACRO + '{{ m().replace("a", text) }}',
    "format of a macro": MACRO + "{{ m().format(text) }}",
    "join of a macro": MACRO + '{{ m().join(["", text]) }}',
    "upper case": "{{ text | upper }}",
    "shortened": "{{ text | truncate(1000) }}",
    "tags taken away": "{{ text | striptags }}",
    "a filter block": "{% filter trim %}{{ text }}{% endfilter %}",
    "without escaping": "{% autoescape false %}{{ text }}{% endautoescape %}",
    "joined without escaping": MACRO + "{% autoescape false %}{{ m() ~ text }}{% endautoescape %}",
    "by a caller": CALLED + "{% call m() %}{{ text }}{% endcall %}",
}
TABLE = '{"tag": "table", "columns": COLUMNS, "rows": ROWS}'
COLUMNS = '[{"name": "n", "data_type": "lark_md"}]'
ROWS = '[{"n": "{{ text }}"}]'
MARKDOWN_PLACES = {
    "markdown": '{"tag": "markdown", "content": "{{ text }}"}',
    "both languages": '{"tag": "markdown", "content": "", "i18n_content": {"zh_cn": "{{ text }}"}}',
    "lark_md in a div": '{"tag": "div", "text": {"tag": "lark_md", "content": "{{ text }}"}}',
    "a tag from a macro": TAGGED + '{{ m("lark_md", text) }}',
    "the tag stands last": '{"content": "{{ text }}", "tag": "markdown"}',
    "an element by tojson": '{{ {"tag": "markdown", "content": text} | tojson }}',
    "a table cell": TABLE.replace("COLUMNS", COLUMNS).replace("ROWS", ROWS),
    "rows by tojson": TABLE.replace("COLUMNS", COLUMNS).replace("ROWS", '{{ [{"n": text}] | tojson }}'),
    "columns by tojson": TABLE.replace("COLUMNS", "{{ " + COLUMNS + " | tojson }}").replace("ROWS", ROWS),
    "an element among rows of no table": '{"rows": [{"tag": "markdown", "content": "{{ text }}"}]}',
    "a table of names put in": (
        '{% set n, t, d = "n", "table", "lark_md" %}'
        '{"tag": "{{ t }}", "columns": [{"name": "{{ n }}", "data_type": "{{ d }}"}],'
        ' "rows": [{"{{ n }}": "{{ text }}"}]}'
    ),
}


def shown_texts(node: object) -> Iterator[str]:
    """Every text in a card that came from data: all but names and tags."""
    if isinstance(node, str) and node not in {"markdown", "lark_md", "div", "table", "n"}:
        yield node.removeprefix("<font color=").removesuffix(">")
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from shown_texts(each)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("written", MARKDOWN_TEXTS.values(), ids=MARKDOWN_TEXTS.keys())
def test_however_it_is_put_in_no_text_becomes_markup(own: Path, written: str, text: str) -> None:
    """A template may also be refused for how it mixes text in; only becoming markup the text must not."""
    try:
        card = render(own, '{"tag": "markdown", "content": "' + written + '"}', text=text)
    except TemplateBroken:
        return

    assert [] == [found for found in shown_texts(card) if MARKUP.search(found)]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("source", MARKDOWN_PLACES.values(), ids=MARKDOWN_PLACES.keys())
def test_wherever_feishu_reads_markdown_no_text_becomes_markup(own: Path, source: str, text: str) -> None:
    texts = list(shown_texts(render(own, source, text=text)))

    assert escape_markdown(text) in texts
    assert [] == [found for found in texts if MARKUP.search(found)]


def test_a_plain_cell_beside_a_markdown_one_stays_as_it_is(own: Path) -> None:
    source = (
        '{"tag": "table", "columns": [{"name": "a", "data_type": "text"}, {"name": "b", "data_type": "lark_md"}],'
        ' "rows": [{"a": "{{ text }}", "b": "{{ text }}"}]}'
    )

    assert [{"a": "*x*", "b": "&#42;x&#42;"}] == render(own, source, text="*x*")["rows"]


def test_what_the_template_itself_writes_in_markdown_stays_markup(own: Path) -> None:
    source = '{"tag": "markdown", "content": "**{{ text }}**"}'

    assert "**&#42;**" == render(own, source, text="*")["content"]


@pytest.mark.parametrize(
    "source, why",
    [
        (MACRO + '{"x": "{{ m() | replace("a", "b") }}"}', "cannot go through the filter replace"),
        (MACRO + '{"x": "{{ [m()] | join }}"}', "cannot go through the filter join"),
        (MACRO + '{"x": "{{ m() % 1 }}"}', "cannot be formatted"),
        (MACRO + '{"x": "{{ m().upper() }}"}', "unsafe"),
        ('{"x": "{{ "a" | safe }}"}', "No filter named 'safe'"),
    ],
)
def test_mixing_text_into_finished_json_is_refused_with_the_reason(own: Path, source: str, why: str) -> None:
    assert why in broken(own, source)


@pytest.mark.parametrize(
    "value, written",
    [(1, 1), (True, True), (None, None), (1.5, 1.5), (Decimal("0.10"), 0.1), ([1, "a"], [1, "a"])],
)
def test_numbers_and_lists_are_json_of_their_own_kind(own: Path, value: object, written: object) -> None:
    source = '{"x": {{ value | tojson }}}' if isinstance(value, list) else '{"x": {{ value }}}'

    assert {"x": written} == render(own, source, value=value)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), Decimal("NaN")])
def test_a_number_that_json_cannot_say_is_refused(own: Path, number: object) -> None:
    assert "mine.json.j2" in broken(own, '{"x": {{ number }}}', number=number)


# complaints


def test_a_syntax_error_names_file_and_line(own: Path) -> None:
    assert "mine.json.j2, line 2: " in broken(own, '{\n"x": {{ }\n}')


def test_an_undefined_variable_is_named_with_file_and_line(own: Path) -> None:
    complaint = broken(own, '{\n"x":\n"{{ nothing }}"}')

    assert complaint.startswith("mine.json.j2, line 3: ")
    assert "there is no variable nothing; variables: card, parts, digest, t, " in complaint
    assert complaint.endswith('the line: "{{ nothing }}"}')


def test_an_undefined_field_is_named(own: Path) -> None:
    card = make_sample("increase", Config())

    complaint = broken(own, '{"x": "{{ card.referer.name }}"}', card=card)

    assert complaint.startswith(
        "mine.json.j2, line 1: card.referer: BalanceChangeCard has no field referer; nearest: referrer; "
        "fields: account_id, "
    )


def test_a_fault_in_a_shared_part_names_that_part(own: Path) -> None:
    (own / "_mine.j2").write_text("{% macro m() %}\n{{ }\n{% endmacro %}")

    assert "_mine.j2, line 2: " in broken(own, '{% import "_mine.j2" as mine %}{"x": "{{ mine.m() }}"}')


def test_output_that_is_no_json_is_shown_where_it_breaks(own: Path) -> None:
    complaint = broken(own, '{"x": 1,\n"y": "{{ text }}" oops}', text="secret name")

    assert "renders invalid JSON" in complaint
    assert "line 2" in complaint
    assert "secret name" not in complaint


@pytest.mark.parametrize("source", ["[]", '"text"', "1", "null"])
def test_output_that_is_no_object_is_refused(own: Path, source: str) -> None:
    assert "not a JSON object" in broken(own, source)


@pytest.mark.parametrize("source", ['{"x": "\ue0000\ue001"}', '{"x": "\ue000"}', '{"x": "\\ue0007\\ue001"}'])
def test_a_template_must_not_write_our_own_marks(own: Path, source: str) -> None:
    assert "U+E000 and U+E001 are reserved" in broken(own, source)


def test_a_template_that_is_not_there_is_named(own: Path) -> None:
    with pytest.raises(TemplateBroken, match=r"gone\.json\.j2: there is no such template"):
        CardTemplates(own).render("gone.json.j2", {})


@pytest.mark.parametrize(
    "trick",
    [
        "card.__class__",
        "card.__class__.__mro__",
        "card.__init__.__globals__",
        "''.__class__.__base__.__subclasses__()",
        "self.__init__.__globals__",
        "cycler.__init__.__globals__.os",
        "card | attr('__class__')",
        "'{0.__class__}'.format(card)",
        "lines.append(1)",
        "range(999999999)",
    ],
)
def test_a_template_cannot_reach_into_the_program(own: Path, trick: str) -> None:
    card = make_sample("increase", Config())

    assert broken(own, '{"x": "{{ ' + trick + ' }}"}', card=card, lines=[1])


def test_a_template_cannot_read_files_outside_its_folders(own: Path) -> None:
    (own.parent / "outside.j2").write_text("{}")

    assert "there is no such template" in broken(own, '{% include "../outside.j2" %}')


# own templates


def test_an_own_template_wins_over_the_shipped_one(own: Path) -> None:
    (own / "balance_change.json.j2").write_text('{"mine": true}')
    templates = CardTemplates(own)

    assert {"mine": True} == templates.render("balance_change.json.j2", {})
    assert "own" == templates.source_of("balance_change.json.j2")


def test_what_is_not_in_the_own_folder_comes_from_the_shipped_one(own: Path) -> None:
    (own / "balance_change.json.j2").write_text('{"mine": true}')
    templates = CardTemplates(own)
    card = templates.render("balance_change_compact.json.j2", {"card": make_sample("increase", Config())})

    assert "2.0" == card["schema"]
    assert "shipped" == templates.source_of("balance_change_compact.json.j2")


def test_own_shared_parts_serve_the_shipped_templates_too(own: Path) -> None:
    parts = (shipped_templates() / "_parts.j2").read_text(encoding="utf-8")
    (own / "_parts.j2").write_text(parts.replace('"blue"', '"violet"'), encoding="utf-8")
    card = CardTemplates(own).render("balance_change.json.j2", {"card": make_sample("opening", Config())})

    assert "violet" == card["header"]["template"]


def test_an_own_template_is_read_again_after_a_change(own: Path) -> None:
    mine = own / "mine.json.j2"
    mine.write_text('{"x": 1}')
    templates = CardTemplates(own)
    templates.render("mine.json.j2", {})
    mine.write_text('{"x": 22}')
    os.utime(mine, (2_000_000_000, 2_000_000_000))

    assert {"x": 22} == templates.render("mine.json.j2", {})


def test_shared_parts_are_no_templates_of_their_own(own: Path) -> None:
    (own / "mine.json.j2").write_text("{}")

    assert sorted([*OUR_TEMPLATES, "mine.json.j2"]) == CardTemplates(own).names()


# any name at all

SHIPPED = CardTemplates()


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_any_name_is_shown_cleaned_and_never_as_markup(name_zh: str, name_en: str) -> None:
    referrer = Referrer(open_id="ou_1", name_zh=name_zh, name_en=name_en)
    sample = make_sample("group", Config())
    assert isinstance(sample, BalanceChangeCard)
    card = replace(sample, referrer=person(referrer))
    rendered = SHIPPED.render(BALANCE_TEMPLATES[CardVariant.FULL], {"card": card})
    shown = rendered["header"]["subtitle"]["i18n_content"]

    assert person(referrer).name == Bilingual(zh=shown["zh_cn"], en=shown["en_us"])
    assert [] == card_problems(rendered)


@settings(deadline=None)
@given(st.text())
def test_any_text_comes_back_from_markdown_as_it_was(text: str) -> None:
    escaped = escape_markdown(text)

    assert not MARKUP.search(escaped)
    assert " ".join(text.split("\n")) == html.unescape(escaped) or not text.isprintable()
