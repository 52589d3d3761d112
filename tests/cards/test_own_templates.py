"""Own templates: a few lines change one block of a card, commas cannot be wrong, and mistakes are named."""

import json
from pathlib import Path
from typing import Any

import pytest

from notifier.cards.rules import card_problems
from notifier.cards.templates import OUR_TEMPLATES, CardTemplates, shipped_templates
from notifier.cards.templating.commas import drop_extra_commas
from notifier.config.settings import Config
from notifier.errors import TemplateBroken
from notifier.operations.sample_cards import list_samples, make_sample

EVERYWHERE = {"header_colour", "title", "top", "reroute", "actions", "footer"}
"""Blocks that every card has."""
FOR_ONE_PERSON = {"answer.json.j2", "answer_compact.json.j2", "settings.json.j2"}
"""Cards that never go to the fallback group."""


def render(folder: Path, name: str, source: str, sample: str = "increase") -> dict[str, Any]:
    (folder / name).write_text(source, encoding="utf-8")
    card = make_sample(sample, Config(), allowed=list_samples(name))
    return CardTemplates(folder).render(name, {"card": card})


def broken(folder: Path, name: str, source: str, sample: str = "increase") -> str:
    with pytest.raises(TemplateBroken) as complaint:
        render(folder, name, source, sample)
    return str(complaint.value)


def extending(name: str, block: str, content: str) -> str:
    return f'{{% extends "shipped/{name}" %}}\n{{% block {block} %}}{content}{{% endblock %}}\n'


def texts(card: dict[str, Any]) -> str:
    return json.dumps(card, ensure_ascii=False)


@pytest.mark.parametrize("sample", ["increase", "opening"])
def test_three_lines_add_a_line_below_the_note(tmp_path: Path, sample: str) -> None:
    """The note is empty on most cards, and a text on the first one."""
    content = '{{ super() }}, {{ parts.line("详情见公司内网", "See the intranet") }}'
    card = render(
        tmp_path, "balance_change.json.j2", extending("balance_change.json.j2", "note", content), sample
    )
    plain = CardTemplates().render("balance_change.json.j2", {"card": make_sample(sample, Config())})
    added = [each for each in card["body"]["elements"] if each not in plain["body"]["elements"]]

    assert ["详情见公司内网"] == [each["text"]["content"] for each in added]
    assert len(plain["body"]["elements"]) + 1 == len(card["body"]["elements"])
    assert [] == card_problems(card)


SHIPPED = CardTemplates()
BLOCKS = [(name, block) for name in OUR_TEMPLATES for block in SHIPPED.blocks(name)]
FEW = 3
"""Samples of a template that these tests render; the golden cards cover the others."""


@pytest.mark.parametrize("name", OUR_TEMPLATES)
def test_every_block_can_be_kept_as_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(
        "\n".join([f'{{% extends "shipped/{name}" %}}', *map(kept, SHIPPED.blocks(name))]), encoding="utf-8"
    )
    templates = CardTemplates(tmp_path)
    for sample in list_samples(name):
        card = make_sample(sample, Config(), allowed=list_samples(name))

        assert SHIPPED.render(name, {"card": card}) == templates.render(name, {"card": card})


def kept(block: str) -> str:
    return f"{{% block {block} %}}{{{{ super() }}}}{{% endblock %}}"


ELEMENTS = [
    (name, block)
    for name, block in BLOCKS
    if block not in {"style", "summary", "header_colour", "title", "subtitle", "tags"}
]


@pytest.mark.parametrize("name, block", ELEMENTS)
def test_no_block_can_break_the_commas(tmp_path: Path, name: str, block: str) -> None:
    for content in ("", ",", ',{{ super() }}, ,{"tag": "hr"},'):
        (tmp_path / name).write_text(extending(name, block, content))
        templates = CardTemplates(tmp_path)
        for sample in list_samples(name)[:FEW]:
            card = make_sample(sample, Config(), allowed=list_samples(name))

            assert "2.0" == templates.render(name, {"card": card})["schema"]


@pytest.mark.parametrize("name", OUR_TEMPLATES)
def test_the_same_blocks_have_the_same_names(name: str) -> None:
    needed = EVERYWHERE - ({"reroute"} if name in FOR_ONE_PERSON else set())

    assert needed <= set(CardTemplates().blocks(name))


@pytest.mark.parametrize(
    "output, kept",
    [
        ("[1,, 2]", "[1,2]"),
        ("[ , 1, ]", "[ 1]"),
        ("[,,]", "[]"),
        ('{, "a": 1, ,}', '{ "a": 1}'),
        ('["a,, b", ", ]",,"[ ,"]', '["a,, b", ", ]","[ ,"]'),
        ('["\\",,", ,1]', '["\\",,", 1]'),
    ],
)
def test_a_comma_too_many_is_dropped_outside_of_texts(output: str, kept: str) -> None:
    assert json.loads(kept) == json.loads(drop_extra_commas(output))


@pytest.mark.parametrize(
    "written, reason",
    [
        ('{"tag": "hr"}， {"tag": "hr"}', "this comma is full-width; write ,"),
        ('{"tag"： "hr"}', "this colon is full-width; write :"),
        ('{“tag”: "hr"}', 'this quotation mark is curly; write "'),
        ('{"tag": "hr}', "a closing quotation mark is missing"),
        ('{tag: "hr"}', "a name in double quotation marks is missing here"),
        ('{"tag": }', "a value is missing here"),
        ('{"tag" "hr"}', "a colon is missing before this"),
    ],
)
def test_common_slips_are_named_in_words(tmp_path: Path, written: str, reason: str) -> None:
    complaint = broken(
        tmp_path, "balance_change.json.j2", extending("balance_change.json.j2", "note", f"\n{written}")
    )

    assert f"balance_change.json.j2, line 3: renders invalid JSON: {reason}" in complaint


def test_an_empty_template_is_said_to_be_empty(tmp_path: Path) -> None:
    assert "renders nothing: the card is empty" in broken(tmp_path, "balance_change.json.j2", "")


def test_a_missing_comma_names_template_line_and_text(tmp_path: Path) -> None:
    content = '\n{{ super() }}\n{{ parts.line("a", "b") }} {{ parts.line("c", "d") }}'
    complaint = broken(
        tmp_path, "balance_change.json.j2", extending("balance_change.json.j2", "note", content)
    )

    assert complaint.startswith(
        "balance_change.json.j2, line 4: renders invalid JSON: a comma is missing before this: "
    )
    assert complaint.endswith(
        '; the line: {{ parts.line("a", "b") }} {{ parts.line("c", "d") }}{% endblock %}'
    )


def test_a_block_that_the_parent_lacks_is_an_error(tmp_path: Path) -> None:
    complaint = broken(tmp_path, "withdrawal.json.j2", extending("withdrawal.json.j2", "titel", "x"), "paid")

    assert complaint.startswith(
        "withdrawal.json.j2, line 2: shipped/withdrawal.json.j2 has no block titel; nearest: title; "
    )
    assert "blocks: style, summary, header_colour, title, " in complaint


def test_a_template_that_extends_itself_is_an_error(tmp_path: Path) -> None:
    complaint = broken(tmp_path, "withdrawal.json.j2", '{% extends "withdrawal.json.j2" %}', "paid")

    assert "extends itself; to extend the shipped template, write shipped/withdrawal.json.j2" in complaint


def test_an_unknown_macro_names_the_nearest(tmp_path: Path) -> None:
    content = '{{ parts.lines("a", "b") }}'
    complaint = broken(
        tmp_path, "balance_change.json.j2", extending("balance_change.json.j2", "note", content)
    )

    assert (
        "balance_change.json.j2, line 2: there is no macro lines; nearest: line; macros: amounts_box, balance_colour"
        in complaint
    )


def test_an_unknown_field_in_a_block_is_named(tmp_path: Path) -> None:
    content = '{{ parts.line(card.referer.name.zh, "b") }}'
    complaint = broken(
        tmp_path, "balance_change.json.j2", extending("balance_change.json.j2", "note", content)
    )

    assert (
        "line 2: card.referer: BalanceChangeCard has no field referer; nearest: referrer; fields: "
        in complaint
    )
    assert "the line: {% block note %}{{ parts.line(card.referer.name.zh" in complaint


def test_own_macros_serve_extended_templates(tmp_path: Path) -> None:
    (tmp_path / "_mine.j2").write_text(
        '{% macro wish() %}{{ parts.line("加油", "Well done") }}{% endmacro %}'
    )
    content = "{{ super() }}, {{ mine.wish() }}"
    source = '{% import "_mine.j2" as mine %}' + extending("balance_change.json.j2", "note", content)

    assert "加油" in texts(render(tmp_path, "balance_change.json.j2", source))


def test_changed_shared_macros_are_used_by_the_digests_at_once(tmp_path: Path) -> None:
    """`_digest.j2` uses `_parts.j2`."""
    templates = CardTemplates(tmp_path)
    card = make_sample("daily", Config())
    before = templates.render("digest.json.j2", {"card": card})
    parts = (shipped_templates() / "_parts.j2").read_text(encoding="utf-8")
    (tmp_path / "_parts.j2").write_text(
        parts + '{% macro small(zh, en=none) %}{{ line(zh, en, "notation", "blue") }}{% endmacro %}',
        encoding="utf-8",
    )

    assert '"text_color": "blue"' not in texts(before)
    assert '"text_color": "blue"' in texts(templates.render("digest.json.j2", {"card": card}))


def test_a_new_file_replaces_a_shipped_template_at_once_and_a_removed_one_gives_it_back(
    tmp_path: Path,
) -> None:
    templates, own = CardTemplates(tmp_path), tmp_path / "withdrawal.json.j2"
    card = {"card": make_sample("paid", Config(), allowed=list_samples("withdrawal.json.j2"))}
    shipped = templates.render("withdrawal.json.j2", card)
    own.write_text('{"mine": true}')
    assert {"mine": True} == templates.render("withdrawal.json.j2", card)
    own.unlink()

    assert shipped == templates.render("withdrawal.json.j2", card)
