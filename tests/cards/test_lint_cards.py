"""The linter over many cards: ours in every variant, and the shapes that bots send, with exactly the expected rules."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.cards import lint
from notifier.cards.lint_findings import LintFinding, Severity
from notifier.cards.positions.json_positions import JsonPositions
from notifier.cards.render import without_pictures
from notifier.cards.rules import card_problems
from notifier.cards.rules.catalogue import RULES
from notifier.cards.templates import OUR_TEMPLATES, CardTemplates
from notifier.config.settings import Config
from notifier.operations.sample_cards import list_samples, make_sample
from support.card_shapes import CASES, CardCase, card, div

TEMPLATES = CardTemplates()
OURS = [(template, sample) for template in OUR_TEMPLATES for sample in list_samples(template)]
OUR_WARNINGS = {
    "digest.json.j2": {"client-version", "submit-behaviors"},
    "settings.json.j2": {"submit-behaviors"},
    "balance_change_compact.json.j2": {"summary-missing"},
    "withdrawal_compact.json.j2": {"summary-missing"},
    "digest_compact.json.j2": {"summary-missing"},
    "answer_compact.json.j2": {"summary-missing"},
}
"""Right, and known. Heights of rows fall back to the default; the fallback chain covers a refused form; a compact card
is the fallback of one that has a summary."""


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_a_card_has_the_expected_findings_and_no_others(case: CardCase) -> None:
    assert case.rules == {finding.rule for finding in lint(case.card)}


OF_SAMPLES = {"numbered-currency": {"language-missing"}}
"""The unit of an unknown currency number has both languages in one text."""


@pytest.mark.parametrize("template, sample", OURS)
def test_our_cards_have_no_errors_and_only_the_known_warnings(template: str, sample: str) -> None:
    made = TEMPLATES.render(template, {"card": make_sample(sample, Config())})

    for variant in (made, without_pictures(made)):
        rules = {finding.rule for finding in lint(variant)}
        assert rules <= OUR_WARNINGS.get(template, set()) | OF_SAMPLES.get(sample, set())


def test_the_corpus_is_large() -> None:
    assert len(CASES) >= 200
    assert len(CASES) == len({case.name for case in CASES})


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_the_check_before_sending_has_the_errors_of_the_linter_and_no_warnings(case: CardCase) -> None:
    if not (isinstance(case.card, dict) and case.card.get("schema") == "2.0"):
        return
    errors = {rule for rule in case.rules if RULES[rule].severity is Severity.ERROR}

    assert errors == {problem.rule for problem in card_problems(case.card)}


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_findings_have_a_position_in_json_text(case: CardCase) -> None:
    source = json.dumps(case.card, ensure_ascii=False, indent=2)
    lines = source.splitlines()

    for finding in lint(source, file="x.json"):
        assert finding.place is not None
        assert "x.json" == finding.place.file
        assert 1 <= finding.place.line <= len(lines)
        name = finding.path.rpartition(".")[2]
        if not (name.isidentifier() and f'"{name}"' in source):
            continue
        at = lines[finding.place.line - 1][finding.place.column - 1 :]
        assert at.startswith((f'"{name}"', "{"))  # an absent attribute has the position of its object


def test_every_finding_explains_itself() -> None:
    findings = [finding for case in CASES for finding in lint(case.card)]

    assert all(finding.message.endswith((".", "?", ";")) and finding.remedy for finding in findings)
    assert all(finding.severity is RULES[finding.rule].severity for finding in findings)


def test_a_finding_as_json_has_all_fields() -> None:
    (finding,) = lint(json.dumps(card(div(text_colour="red"))))
    document = finding.as_json()

    assert set(LintFinding.__dataclass_fields__) | {"link"} == set(document)
    assert json.loads(json.dumps(document)) == document
    assert "docs/card-rules.md#unknown-attribute" == document["link"]


def test_bytes_with_a_byte_order_mark_are_json_text() -> None:
    (finding,) = lint(b"\xef\xbb\xbf" + json.dumps(card(div(text_size="giant"))).encode())

    assert finding.place is not None
    assert ("card.json", 1) == (finding.place.file, finding.place.line)


def test_a_key_that_stands_twice_is_a_warning_at_the_second_one() -> None:
    (finding,) = lint(json.dumps(card())[:-1] + ',\n "body": {"elements": [{"tag": "hr"}]}}')

    assert ("duplicate-key", 2) == (finding.rule, finding.place.line if finding.place else 0)


def test_a_card_inside_a_string_has_the_position_of_the_string() -> None:
    inner = json.dumps(card(div(text_size="giant")))
    (finding,) = lint(json.dumps({"msg_type": "interactive", "content": inner}, indent=1))

    assert finding.place is not None
    assert ("wrong-value", 3) == (finding.rule, finding.place.line)
    assert "body.elements[0].text.text_size" == finding.path


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(document=JSON, indent=st.sampled_from([None, 0, 2]), is_ascii=st.booleans())
def test_a_position_is_where_the_value_begins(
    document: object, indent: int | None, *, is_ascii: bool
) -> None:
    source = json.dumps(document, indent=indent, ensure_ascii=is_ascii)
    positions = JsonPositions(source)

    def compare(path: tuple[str | int, ...], value: object) -> None:
        start = positions.offset(path, document)
        decoded, end = json.JSONDecoder().raw_decode(source, start)
        if path and isinstance(path[-1], str):
            assert path[-1] == decoded
            start = end + len(source[end:]) - len(source[end:].lstrip(": \n"))
            decoded, _ = json.JSONDecoder().raw_decode(source, start)
        assert value == decoded
        members = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        for key, member in members:
            compare((*path, key), member)

    compare((), document)
    assert [] == positions.duplicates


@given(document=JSON | st.builds(card, JSON))
def test_no_document_makes_the_linter_raise(document: object) -> None:
    source = json.dumps(document)
    found = (
        lint(source) if isinstance(document, str) else [*lint(document), *lint(source)]
    )  # a string is JSON text

    assert all(finding.rule in RULES for finding in found)
