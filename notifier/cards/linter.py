"""The card linter: checks a card from Python, a JSON text or a template against all rules."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from weakref import WeakKeyDictionary

from notifier.cards.lint_findings import LintFinding, LintPlace, Severity
from notifier.cards.message_content import CardDocument, DocumentKind, find_card, reference_problems
from notifier.cards.positions.json_positions import JsonPositions
from notifier.cards.positions.template_trace import OutputPlaces, TemplateTrace, TraceDetail, broken_place
from notifier.cards.rules import SAFE_BYTES, card_size, document_position, walk_card
from notifier.cards.rules.card_warnings import CARD_WARNINGS, CardFacts, is_chinese
from notifier.cards.rules.catalogue import RULES
from notifier.cards.rules.component_warnings import component_warnings
from notifier.cards.rules.schema_1 import is_schema_1, schema_1_problems
from notifier.cards.rules.walk import FoundProblem, format_path
from notifier.cards.rules.walk import Path as CardPath
from notifier.cards.templates import CardTemplates
from notifier.cards.templating.builder import is_reference
from notifier.errors import TemplateBroken

_Placed = tuple[LintPlace | None, tuple[LintPlace, ...]]
_PlaceOf = Callable[[CardPath], _Placed]


def lint(card: object, *, file: str = "card.json") -> list[LintFinding]:
    """Return the findings of a card, in document order.

    card: parsed JSON, or JSON text, whose findings have positions. The content of a message and an export of the card
    builder are accepted as well. file: the name for the positions. Raises json.JSONDecodeError for text that is not
    JSON, and RecursionError for JSON that is nested too deep to be read.
    """
    if not isinstance(card, str | bytes):
        return _lint_document(find_card(card), lambda _: (None, ()))
    text = card.decode("utf-8-sig") if isinstance(card, bytes) else card
    parsed = json.loads(text)
    document = find_card(parsed)
    positions = JsonPositions(text)

    def place_of(path: CardPath) -> _Placed:
        inside = document.path if document.text is not None else (*document.path, *path)
        line, column = positions.line_and_column(inside, parsed)
        return LintPlace(file=file, line=line, column=column), ()

    found = _lint_document(document, place_of)
    for each in positions.duplicates:
        line, column = positions.position_of(each.start)
        message = f"The key {each.path[-1]} stands here a second time."
        problem = FoundProblem(path=each.path, rule="duplicate-key", message=message)
        found.append(_finding(problem, (LintPlace(file=file, line=line, column=column), ())))
    return found


def _lint_document(document: CardDocument, place_of: _PlaceOf) -> list[LintFinding]:
    if document.kind not in (DocumentKind.CARD, DocumentKind.BUILDER_EXPORT):
        problems = reference_problems(document)
    elif is_schema_1(document.card) and isinstance(document.card, dict):
        problems = schema_1_problems(document.card)
    else:
        problems = _problems(document.card)
        if document.kind is DocumentKind.BUILDER_EXPORT:
            problems = [each for each in problems if not _is_about_variable(document.card, each.path)]
    return [_finding(each, place_of(each.path)) for each in problems]


def _is_about_variable(card: object, path: CardPath) -> bool:
    """Whether the value at a path is a variable of the card builder, whose value is not known."""
    node = card
    for step in path:
        if isinstance(node, dict):
            node = node.get(str(step))
        elif isinstance(node, list) and isinstance(step, int) and step < len(node):
            node = node[step]
        else:
            return False
    return isinstance(node, str) and "${" in node


def _problems(card: object) -> list[FoundProblem]:
    """All errors and warnings of a 2.0 card, in document order."""
    walk = walk_card(card)
    if not walk.is_readable or not isinstance(card, dict):
        return walk.problems
    found = [*walk.problems, *walk.warnings]
    size = card_size(card)
    if size > SAFE_BYTES and not any(each.rule == "size-limit" for each in found):
        message = f"The card has {size} bytes as JSON. Feishu adds to them and refuses more than 30 KB."
        found.append(FoundProblem(path=(), rule="size-near-limit", message=message))
    facts = CardFacts.of(card)
    for warnings in CARD_WARNINGS:
        found += warnings(card, facts)
    found += component_warnings(card, facts)
    return sorted(found, key=lambda each: document_position(card, each.path))


def lint_template(templates: CardTemplates, name: str, context: Mapping[str, object]) -> list[LintFinding]:
    """Return the findings of the card that a template renders from a context, placed at lines of the templates.

    A template that does not render is a finding too. A card of JSON 1.0 has errors, because the service sends 2.0.
    """
    try:
        plain = TemplateTrace(None)
        card = templates.render(name, context, trace=plain)
    except TemplateBroken as error:
        return [_broken(templates, name, context, error)]
    if templates.builder_file(name) is not None:
        start = LintPlace(file=templates.file_of(name), line=1, column=1)
        document = CardDocument(kind=DocumentKind.TEMPLATE_REFERENCE, card=card, path=())
        problems = reference_problems(document) if is_reference(card) else _problems(card)
        return [_finding(each, (start, ())) for each in problems]
    places = _trace(templates, name, context, plain.places.text)
    positions = JsonPositions(plain.places.text)

    def place_of(path: CardPath) -> _Placed:
        if places is None:
            return plain.places.first, ()
        return places.place_of(positions.offset(path, card))

    def is_data(problem: FoundProblem) -> bool:
        """Whether a text without translation is data, such as a name, which is the same in every language."""
        if problem.rule != "language-missing" or problem.path[-1] != "content":
            return False
        return not is_chinese(str(positions.value_at(problem.path, card)))

    found = [_finding(each, place_of(each.path)) for each in _problems(card) if not is_data(each)]
    return [each for each in found if each.severity is Severity.ERROR or not _is_allowed(each)]


_ALLOW = re.compile(r"\{#-?\s*lint: allow ([a-z0-9 -]+?)\s*-?#\}")


def _is_allowed(finding: LintFinding) -> bool:
    """Whether a comment on the line or the line above allows a warning: {# lint: allow summary-missing #}."""
    for place in (finding.place, *finding.called_from):
        if place is None or not Path(place.file).is_file():
            continue
        lines = Path(place.file).read_text(encoding="utf-8").splitlines()
        for line in lines[max(0, place.line - 2) : place.line]:
            if any(finding.rule in allowed.split() for allowed in _ALLOW.findall(line)):
                return True
    return False


_traces: WeakKeyDictionary[CardTemplates, tuple[TemplateTrace, ...]] = WeakKeyDictionary()


def _traces_of(templates: CardTemplates) -> tuple[TemplateTrace, ...]:
    """Return the traces of a set of templates, the most detailed first. They keep the compiled templates."""
    return _traces.setdefault(templates, (TemplateTrace(TraceDetail.CALLS), TemplateTrace(TraceDetail.LINES)))


def _trace(
    templates: CardTemplates, name: str, context: Mapping[str, object], output: str
) -> OutputPlaces | None:
    """Return where the output was written, or None if it cannot be traced.

    A template may test the output of a macro, which marks would change. So a trace counts only if it writes the same.
    """
    for trace in _traces_of(templates):
        try:
            templates.render(name, context, trace=trace)
        except TemplateBroken:
            continue
        if trace.places.text == output:
            return trace.places
    return None


def _broken(
    templates: CardTemplates, name: str, context: Mapping[str, object], error: TemplateBroken
) -> LintFinding:
    problem = FoundProblem(path=(), rule="template-error", message=f"{str(error).rstrip('.')}.")
    cause = error.__cause__
    if isinstance(cause, json.JSONDecodeError):
        for trace in _traces_of(templates):
            try:
                templates.render(name, context, trace=trace)
            except TemplateBroken as again:
                if isinstance(again.__cause__, json.JSONDecodeError) and again.__cause__.doc == cause.doc:
                    return _finding(problem, trace.places.place_of(cause.pos))
    return _finding(problem, (broken_place(templates, name, error), ()))


def _finding(problem: FoundProblem, placed: _Placed) -> LintFinding:
    rule = RULES[problem.rule]
    place, called_from = placed
    return LintFinding(
        rule=rule.id,
        severity=rule.severity,
        path=format_path(problem.path),
        message=problem.message,
        remedy=rule.remedy,
        place=place,
        called_from=called_from,
    )


def merge_findings(findings: Iterable[LintFinding]) -> list[LintFinding]:
    """Return each fault once, in the order of files and lines.

    A template shows a fault in every sample, at every turn of a loop and at every call of a macro.
    """
    merged: dict[object, LintFinding] = {}
    for each in findings:
        attribute = each.path.rpartition(".")[2].partition("[")[0]
        key = (each.rule, each.place, attribute if each.place else each.path)
        first = merged.setdefault(key, each)
        if first is not each:
            calls = dict.fromkeys((*first.called_from, *each.called_from))
            merged[key] = replace(first, called_from=tuple(calls))
    return sorted(merged.values(), key=_order)


def _order(finding: LintFinding) -> tuple[str, int, int]:
    place = finding.place
    return ("", 0, 0) if place is None else (place.file, place.line, place.column)
