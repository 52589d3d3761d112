"""A small set of card templates with macros, inheritance and loops, and faults to plant in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

HERE = "§"
"""In the text of a fault: the line where the linter must find it. It is removed."""

SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "_parts.j2": """\
{# Shared macros. #}
{% macro both(zh, en) %}"content": "{{ zh }}", "i18n_content": {"zh_cn": "{{ zh }}", "en_us": "{{ en }}"}{% endmacro %}

{% macro line(zh, en, colour="default") %}
{"tag": "div",
 "text": {"tag": "plain_text", {{ both(zh, en) }},
          "text_color": "{{ colour }}"}}
{% endmacro %}

{% macro column(card) %}
{
  "tag": "column", "width": "weighted", "weight": 1,
  "elements": [
    {{ line("左", "Left") }},
    {{ line(card.name, card.name, colour=card.colour) }}
  ]
}
{% endmacro %}

{%- macro trend(number) -%}
{{ "green" if number > 0 else "orange" }}
{%- endmacro -%}
""",
        "_base.j2": """\
{
  "schema": "2.0",
  "config": {"update_multi": true, "enable_forward": false,
             "summary": {"content": "{{ card.name }}"}},
  "header": {
    "title": {"tag": "plain_text", "content": "{% block title %}{{ card.name }}{% endblock %}"},
    "template": "blue"
  },
  "body": {"elements": [
{% block elements %}{% endblock %}
  ]}
}
""",
        "page.json.j2": """\
{# The page under test. #}
{% extends "_base.j2" %}
{% import "_parts.j2" as parts %}
{% block elements %}
    {{ parts.line("你好", "Hello") }},
    {"tag": "column_set", "flex_mode": "none", "columns": [
      {{ parts.column(card) }},
      {{ parts.column(card) }}
    ]},
    {% for number in card.numbers %}
    {
      "tag": "div",
      "text": {"tag": "plain_text", "content": "{{ number }}",
               "text_color": "{{ parts.trend(number) }}"}
    },
    {% endfor %}
    {% set note %}
    {"tag": "markdown", "content": "a **note**"}
    {% endset %}
    {{ note }},
    {% if card.has_button %}
    {"tag": "button", "type": "primary",
     "text": {"tag": "plain_text", {{ parts.both("打开", "Open") }}},
     "behaviors": [{"type": "callback", "value": {"id": "{{ card.id }}"}}]},
    {% endif %}
    {"tag": "table", "page_size": {{ card.numbers | length }},
     "columns": [{"name": "a", "display_name": "A", "data_type": "text"}],
     "rows": [{% for number in card.numbers %}{"a": "{{ number }}"}{% if not loop.last %}, {% endif %}{% endfor %}]},
    {"tag": "chart", "chart_spec": {{ card.chart | tojson }}},
    {"tag": "hr"}
{% endblock %}
""",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedFault:
    """A change of one template that breaks one rule."""

    file: str
    """The template that is changed."""
    old: str
    """The text that is replaced, once."""
    new: str
    """What replaces it; HERE marks the line of the fault."""
    rule: str
    """The rule that it breaks."""
    called_from: int | None = None
    """The line of page.json.j2 that calls the macro; None: the fault is in no macro."""


_PARTS, _BASE, _PAGE = "_parts.j2", "_base.j2", "page.json.j2"


def _fault(file: str, old: str, new: str, rule: str, called_from: int | None = None) -> PlantedFault:
    return PlantedFault(file=file, old=old, new=new, rule=rule, called_from=called_from)


FAULTS = (
    # in the page
    _fault(_PAGE, '"flex_mode": "none"', '§"flex_mode": "nowhere"', "wrong-value"),
    _fault(_PAGE, '"tag": "hr"', '§"tag": "hr", "colour": 1', "unknown-attribute"),
    _fault(_PAGE, '{"tag": "hr"}', '{"tag": "hr"},\n    {§"tag": "note"}', "schema-1-component"),
    _fault(_PAGE, '{"tag": "hr"}', '{"tag": "hr"},\n    {§"tag": "marquee"}', "unknown-component"),
    _fault(_PAGE, '"behaviors":', '§"url": "https://a.example",\n     "behaviors":', "schema-1-attribute"),
    _fault(_PAGE, '"value": {"id": "{{ card.id }}"}', '§"value": "{{ card.id }}"', "wrong-type"),
    _fault(_PAGE, '"data_type": "text"', '§"data_type": "money"', "wrong-value"),
    _fault(_PAGE, '{"a": "{{ number }}"}', '{§"b": "{{ number }}"}', "undeclared-column"),
    _fault(_PAGE, "card.numbers | length }},", "card.numbers | length + 40 }},§", "wrong-value"),
    _fault(_PAGE, '"tag": "chart",', '§"tag": "chart", "aspect_ratio": "16:9",', "chart-aspect-ratio"),
    _fault(_PAGE, '"a **note**"', '§"a <at id=all></at>"', "mention-all"),
    _fault(_PAGE, '"a **note**"', '§"[x](javascript:y)"', "bad-url"),
    _fault(_PAGE, '"a **note**"', '§"a\\n\\n    b"', "markdown-indent"),
    _fault(_PAGE, '"a **note**"', '§"<div>a</div>"', "markdown-html"),
    _fault(_PAGE, '"a **note**"', "§null", "null"),
    _fault(
        _PAGE,
        '"content": "{{ number }}",',
        '§"content": "{{ number }}", "text_size": "normal_v2",',
        "text-size-no-effect",
    ),
    _fault(
        _PAGE, '"text_color": "{{ parts.trend(number) }}"', '§"text_color": "{{ card.hex }}"', "hex-colour"
    ),
    _fault(_PAGE, '"columns": [{"name": "a"', '"columns": [{§"width": "1px", "name": "a"', "wrong-value"),
    _fault(
        _PAGE, '"tag": "button", "type": "primary",', '§"tag": "button", "type": "warning",', "wrong-value"
    ),
    _fault(
        _PAGE,
        '"tag": "button",',
        '§"tag": "button", "hover_tips": {"tag": "plain_text", "content": "x"},',
        "hover-tips",
    ),
    _fault(
        _PAGE,
        '"columns": [{"name"',
        '§"columns": [{"name": "a", "data_type": "text"}, {"name"',
        "duplicate-column",
    ),
    _fault(_PAGE, '    {"tag": "hr"}', '    §{"tag": "div"}', "missing-attribute"),
    _fault(_PAGE, '    {"tag": "hr"}', '    {"tag": "hr", §"element_id": "1"}', "bad-element-id"),
    _fault(_PAGE, '{{ parts.line("你好", "Hello") }}', '{{ parts.line("你好", "Hello") }§', "template-error"),
    _fault(_PAGE, '"tag": "hr"', '"tag": §hr', "template-error"),
    _fault(_PAGE, "{{ card.id }}", "§{{ card.identity }}", "template-error"),
    # in a macro of another file
    _fault(_PARTS, '"text_color": "{{ colour }}"', '§"text_colour": "{{ colour }}"', "unknown-attribute", 5),
    _fault(_PARTS, '"weight": 1', '§"weight": 9', "wrong-value", 7),
    _fault(_PARTS, '"tag": "div",\n', '"tag": "div",\n §"width": "1px",\n', "wrong-value", 5),
    _fault(
        _PARTS,
        '{{ line("左", "Left") }}',
        '{"tag": "div", "text": {"tag": "plain_text", §"content": "左"}}',
        "language-missing",
        7,
    ),
    _fault(_PARTS, "colour=card.colour", "colour=card.hex", "hex-colour", 7),
    # in the base
    _fault(_BASE, '"template": "blue"', '§"template": "pink"', "wrong-value"),
    _fault(_BASE, '"enable_forward": false', '§"enable_forward": true', "forward-button"),
    _fault(_BASE, '"update_multi": true, ', "§", "update-multi"),
    _fault(
        _BASE, '"summary": {"content": "{{ card.name }}"}', '§"summary": {"content": ""}', "summary-missing"
    ),
    _fault(_BASE, '"schema": "2.0"', '§"schema": "1.0"', "wrong-value"),
    _fault(_BASE, '"schema": "2.0",', '"schema": "2.0", §"fallback": {},', "schema-1-attribute"),
)


def write_templates(folder: Path, fault: PlantedFault | None = None) -> int:
    """Write the templates, one with a fault. Returns the line of the fault, 0 for none."""
    line = 0
    for name, source in SOURCES.items():
        shown = source
        if fault is not None and name == fault.file:
            assert 1 <= source.count(fault.old), fault
            changed = source.replace(fault.old, fault.new, 1)
            marked = changed if HERE in changed else source.replace(fault.old, HERE + fault.new, 1)
            line = marked[: marked.index(HERE)].count("\n") + 1
            shown = changed.replace(HERE, "")
        (folder / name).write_text(shown, encoding="utf-8")
    return line
