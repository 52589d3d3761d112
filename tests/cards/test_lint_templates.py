"""Faults in templates are found with their rule, at their line, also inside macros, blocks and loops."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from notifier.cards.lint_findings import LintFinding, Severity
from notifier.cards.linter import lint_template, merge_findings
from notifier.cards.rules.catalogue import RULES
from notifier.cards.templates import OUR_TEMPLATES, CardTemplates, shipped_templates
from notifier.config.settings import Config
from notifier.operations.sample_cards import list_samples, make_sample
from support.card_shapes import CASES
from support.lint_templates import FAULTS, PlantedFault, write_templates

CONTEXT: Mapping[str, Any] = {
    "card": {
        "name": "林小满 <at id=all></at>",
        "colour": "grey",
        "hex": "#1f2329",
        "numbers": [1, -2, 3],
        "has_button": True,
        "id": "7",
        "chart": {"type": "bar", "data": {"values": [{"k": "a", "v": 1}]}, "xField": "k", "yField": "v"},
    }
}
ELSEWHERE = ("duplicate-key", "own-text", "unused-file")
"""Rules that a card of a template cannot break: see test_lint_cards.py and test_lint_own_files.py."""


def linted(folder: Path, name: str = "page.json.j2") -> list[LintFinding]:
    return merge_findings(lint_template(CardTemplates(folder), name, CONTEXT))


def places(findings: list[LintFinding]) -> list[tuple[str, str, int]]:
    return [
        (each.rule, Path(each.place.file).name, each.place.line)
        for each in findings
        if each.place is not None
    ]


def test_the_templates_without_a_fault_have_no_findings(tmp_path: Path) -> None:
    write_templates(tmp_path)

    assert [] == linted(tmp_path)


@pytest.mark.parametrize(
    "fault", [pytest.param(fault, id=f"{fault.rule}-{number}") for number, fault in enumerate(FAULTS)]
)
def test_a_planted_fault_is_found_at_its_line_and_nothing_else(fault: PlantedFault, tmp_path: Path) -> None:
    line = write_templates(tmp_path, fault)
    findings = linted(tmp_path)

    assert {(fault.rule, fault.file, _line_of(fault, line))} == set(places(findings))
    if fault.called_from is not None:
        callers = [(Path(each.file).name, each.line) for each in findings[0].called_from]
        assert ("page.json.j2", fault.called_from) in callers


def _line_of(fault: PlantedFault, line: int) -> int:
    """A value that a caller passes is shown where the macro writes it."""
    return 7 if fault.old == "colour=card.colour" else line


def test_thirty_faults_are_planted() -> None:
    assert len(FAULTS) >= 30


def test_every_rule_is_broken_by_some_test() -> None:
    tested = (
        {rule for case in CASES for rule in case.rules} | {fault.rule for fault in FAULTS} | set(ELSEWHERE)
    )

    assert set(RULES) == tested


def test_columns_are_those_of_the_template(tmp_path: Path) -> None:
    fault = next(fault for fault in FAULTS if fault.old == '"data_type": "text"')
    line = write_templates(tmp_path, fault)
    (finding,) = linted(tmp_path)
    source = (tmp_path / fault.file).read_text(encoding="utf-8").splitlines()[line - 1]

    assert finding.place is not None
    assert source[finding.place.column - 1 :].startswith('"data_type": "money"')


def test_a_column_at_the_start_of_a_line_is_the_first(tmp_path: Path) -> None:
    write(tmp_path, '{"tag": "hr",\n"wide": 1}')
    (finding,) = linted(tmp_path)

    assert finding.place is not None
    assert (3, 1) == (finding.place.line, finding.place.column)


def test_a_fault_in_a_loop_and_in_two_calls_is_one_finding_with_both_callers(tmp_path: Path) -> None:
    fault = next(fault for fault in FAULTS if fault.old == '"weight": 1')
    write_templates(tmp_path, fault)
    (finding,) = linted(tmp_path)

    assert [7, 8] == [each.line for each in finding.called_from]


def write(folder: Path, elements: str, name: str = "page.json.j2", before: str = "") -> None:
    config = '"config": {"summary": {"content": "x"}}'
    source = f'{before}{{"schema": "2.0", {config}, "body": {{"elements": [\n{elements}\n]}}}}'
    (folder / name).write_text(source, encoding="utf-8")


def test_a_macro_whose_output_is_tested_is_still_traced_by_lines(tmp_path: Path) -> None:
    """Marks around the value would make an empty output look like one that is not empty."""
    macro = "{% macro nothing(x) %}{{ x }}{% endmacro %}\n"
    write(tmp_path, '{% if nothing("") %}{"tag": "hr"},{% endif %}\n{"tag": "hr", "wide": 1}', before=macro)

    assert [("unknown-attribute", "page.json.j2", 4)] == places(linted(tmp_path))


def test_a_template_that_cannot_be_traced_has_its_findings_at_its_first_line(tmp_path: Path) -> None:
    macro = "{% macro some() %}text{% endmacro %}\n"
    write(tmp_path, '{"tag": "hr", "wide": {{ some() | length }}}', before=macro)

    assert [("unknown-attribute", "page.json.j2", 1)] == places(linted(tmp_path))


@pytest.mark.parametrize("char", ["\ue002", "\ue003", "\ue004", "\ue0027\ue005", "\ue0030\ue005"])
def test_marks_in_a_template_are_text(char: str, tmp_path: Path) -> None:
    write(tmp_path, f'{{"tag": "markdown", "content": "{char}", "wide": 1}}')

    assert ["unknown-attribute"] == [each.rule for each in linted(tmp_path)]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_lines_are_counted_with_either_line_end(newline: str, tmp_path: Path) -> None:
    source = [
        '{"schema": "2.0", "config": {"summary": {"content": "x"}},',
        '"body": {"elements": [',
        '{"tag": "no"}]}}',
    ]
    (tmp_path / "page.json.j2").write_bytes(newline.join(source).encode())

    assert [("unknown-component", "page.json.j2", 3)] == places(linted(tmp_path))


def test_a_comment_allows_a_warning_and_no_error(tmp_path: Path) -> None:
    allow = "{# lint: allow text-size-no-effect unknown-attribute #}\n"
    component = '{"tag": "markdown", "content": "x", "text_size": "normal_v2", "wide": 1}'
    write(tmp_path, allow + component)

    assert ["unknown-attribute"] == [each.rule for each in linted(tmp_path)]
    write(tmp_path, f"{allow}{{# another line #}}\n{component}")
    assert {"unknown-attribute", "text-size-no-effect"} == {each.rule for each in linted(tmp_path)}


def test_a_card_of_json_1_in_a_template_is_an_error_because_the_service_sends_2(tmp_path: Path) -> None:
    (tmp_path / "page.json.j2").write_text('{"elements": [{"tag": "hr"}]}', encoding="utf-8")

    assert Severity.ERROR in {each.severity for each in linted(tmp_path)}


@pytest.mark.parametrize(
    "source, line, reason",
    [
        ("{% if %}", 1, "page.json.j2"),
        ("\n\n{% endfor %}", 3, "endfor"),
        ('\n{% include "none.j2" %}', 2, "none.j2"),
        ('{"a":\n {{ card.nothing.more }}}', 2, "nothing"),
        ('{"a": 1,\n "b" 2}', 2, "a colon is missing"),
        ("[1]", 1, "list"),
    ],
)
def test_a_template_that_does_not_render_is_a_finding_with_its_line(
    source: str, line: int, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "page.json.j2").write_text(source, encoding="utf-8")
    (finding,) = linted(tmp_path)

    assert [("template-error", "page.json.j2", line)] == places([finding])
    assert reason in finding.message


@pytest.mark.parametrize("template", OUR_TEMPLATES)
def test_every_value_of_our_cards_is_traced_to_a_line_that_exists(template: str, tmp_path: Path) -> None:
    """Each component gets an unknown attribute, and must be found in one of the shipped files."""
    for path in shipped_templates().glob("*.j2"):
        text = path.read_text(encoding="utf-8").replace('{"tag": "', '{"planted": 1, "tag": "')
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    templates = CardTemplates(tmp_path)

    for sample in list_samples(template):
        findings = lint_template(templates, template, {"card": make_sample(sample, Config())})
        planted = [each for each in findings if each.rule == "unknown-attribute"]
        assert planted
        for each in planted:
            assert each.place is not None
            row = Path(each.place.file).read_text(encoding="utf-8").splitlines()[each.place.line - 1]
            assert row[each.place.column - 1 :].startswith('"planted": 1')


def test_lint_leaves_what_is_rendered_as_it_was(tmp_path: Path) -> None:
    write_templates(tmp_path)
    templates = CardTemplates(tmp_path)
    before = json.dumps(templates.render("page.json.j2", CONTEXT))
    lint_template(templates, "page.json.j2", CONTEXT)

    assert before == json.dumps(templates.render("page.json.j2", CONTEXT))
