"""The forms of a lint report: text, JSON, and annotations of GitHub workflows."""

import json
from collections.abc import Mapping
from enum import StrEnum

from notifier.cards.lint_findings import LintFinding, Severity, name_explanation
from notifier.cards.rules.catalogue import Rule
from notifier.operations.card_lint.inputs import LintReport, UnusableInputError
from notifier.operations.language import localized

MAX_CALLERS = 3


class ReportFormat(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def format_report(report: LintReport, form: ReportFormat) -> str:
    """Return a report as text."""
    match form:
        case ReportFormat.JSON:
            return _as_json(report)
        case ReportFormat.GITHUB:
            unusable = map(_as_unusable_annotation, report.unusable)
            return "\n".join([*map(_as_annotation, report.findings), *unusable, *_summary(report)])
        case _:
            return "\n".join([*map(_as_text, report.findings), *_summary(report)])


def explain_rule(rule: Rule) -> str:
    """Return a rule for people: what it demands, why, what to do, and its source."""
    rows = (
        (localized("why", "原因"), rule.why),
        (localized("remedy", "处理"), rule.remedy),
        (localized("source", "来源"), rule.source),
    )
    head = f"{rule.id} ({rule.severity}): {rule.summary}"
    return "\n".join([head, *(f"    {name}: {text}" for name, text in rows)])


def _summary(report: LintReport) -> list[str]:
    """The last line, if anything could be checked."""
    return [summarize(report)] if report.checked else []


def summarize(report: LintReport) -> str:
    """Return the last line: how many errors and warnings in how many files."""
    errors, warnings = report.count(Severity.ERROR), report.count(Severity.WARNING)
    if not errors and not warnings:
        return localized(
            f"{_count(report.checked, 'file')} checked, no problem found.",
            f"已检查 {report.checked} 个文件，没有发现问题。",
        )
    return localized(
        f"{_count(report.checked, 'file')} checked: {_count(errors, 'error')}, {_count(warnings, 'warning')}.",
        f"已检查 {report.checked} 个文件：{errors} 个错误，{warnings} 个警告。",
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _as_text(finding: LintFinding) -> str:
    """One line that can be searched, and below it what to do."""
    head = f"{finding.place or '-'}: {finding.severity} {finding.rule} {finding.path}: {finding.message}"
    rows = [head, f"    {localized('remedy', '处理')}: {finding.remedy} ({name_explanation(finding.rule)})"]
    if finding.called_from:
        shown = ", ".join(map(str, finding.called_from[:MAX_CALLERS]))
        more = len(finding.called_from) - MAX_CALLERS
        rows.append(f"    {localized('called from', '调用处')}: {shown}{f' (+{more})' if more > 0 else ''}")
    if finding.sample:
        rows.append(f"    {localized('sample', '样例')}: {finding.sample}")
    return "\n".join(rows)


def _as_json(report: LintReport) -> str:
    document = {
        "ok": not report.count(Severity.ERROR) and not report.unusable,
        "checked": report.checked,
        "errors": report.count(Severity.ERROR),
        "warnings": report.count(Severity.WARNING),
        "findings": [each.as_json() for each in report.findings],
        "unusable": [str(each) for each in report.unusable],
    }
    return json.dumps(document, ensure_ascii=False, indent=2)


def _as_annotation(finding: LintFinding) -> str:
    """One workflow command of GitHub Actions, which shows the finding at its line of a pull request."""
    fields = {"title": finding.rule}
    if finding.place is not None:
        place = finding.place
        fields = {"file": place.file, "line": str(place.line), "col": str(place.column), **fields}
    text = f"{finding.path}: {finding.message} {finding.remedy} ({name_explanation(finding.rule)})"
    return _command(finding.severity, fields, text)


def _as_unusable_annotation(error: UnusableInputError) -> str:
    """The same for an input that could not be checked."""
    position = {} if error.line is None else {"line": str(error.line), "col": str(error.column)}
    return _command(Severity.ERROR, {"file": error.file, **position, "title": "unusable-input"}, error.reason)


def _command(severity: Severity, fields: Mapping[str, str], text: str) -> str:
    shown = ",".join(f"{name}={_escape(value, more=':,')}" for name, value in fields.items())
    return f"::{severity} {shown}::{_escape(text)}"


def _escape(text: str, *, more: str = "") -> str:
    """Escape what GitHub reads as part of the command. more: further characters, for values of fields."""
    for char in ("%", "\r", "\n", *more):
        text = text.replace(char, f"%{ord(char):02X}")
    return text
