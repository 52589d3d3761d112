"""Faults of the company's own files that no card shows: texts that cannot be used, and files that nothing uses."""

import re
from pathlib import Path

from notifier.cards.lint_findings import LintFinding, LintPlace
from notifier.cards.rules.catalogue import RULES
from notifier.cards.templates import OUR_TEMPLATES, CardTemplates
from notifier.cards.templating import builder
from notifier.config.settings import suggest_name
from notifier.operations.templates.own_templates import SHARED_FILES, TEXT_FILES

KNOWN_FILES = [
    *OUR_TEMPLATES,
    *SHARED_FILES,
    *TEXT_FILES,
    *(
        name.removesuffix(".json.j2") + kind
        for name in OUR_TEMPLATES
        for kind in (builder.CARD_FILE, builder.VALUES_FILE)
    ),
]
"""Files of the company's folder that the service uses by their name."""
_KEY = re.compile(r"(?P<key>[\w.]+): ")


def find_own_file_faults(folder: Path | None) -> list[LintFinding]:
    """Return a finding for each text that cannot be used, and for each file that nothing uses.

    folder: the company's folder; None: there is none.
    """
    if folder is None:
        return []
    return [*find_text_faults(folder), *(describe_unused(folder, name) for name in list_unused_files(folder))]


def find_text_faults(folder: Path) -> list[LintFinding]:
    """Return a finding for each text of the company that cannot be used. The shipped text is used instead."""
    found = []
    for fault in CardTemplates(folder).texts.faults:
        key = _KEY.match(fault.message)
        problem = fault.message[key.end() :] if key else fault.message
        subject = "The text" if key else "The file"
        is_sentence = not problem.startswith(("is ", "has ", "lacks ", "cannot "))
        message = f"{problem[:1].upper()}{problem[1:]}." if is_sentence else f"{subject} {problem}."
        path = key["key"] if key else fault.file
        found.append(_finding("own-text", folder / fault.file, path, message, fault.line or 1))
    return found


def list_unused_files(folder: Path | None) -> list[str]:
    """Return the files of the company's folder that replace no shipped file and that no other file names."""
    if folder is None:
        return []
    names = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
    texts = {name: _read_or_nothing(path) for name, path in names.items() if name.endswith(".j2")}
    return [
        name
        for name in names
        if name not in KNOWN_FILES
        and not any(
            quoted in text
            for other, text in texts.items()
            if other != name
            for quoted in (f'"{name}"', f"'{name}'")
        )
    ]


def describe_unused(folder: Path, name: str) -> LintFinding:
    """Return the finding about a file that nothing uses."""
    message = f"Nothing uses this file{suggest_name(name, KNOWN_FILES).en}."
    return _finding("unused-file", folder / name, name, message, 1)


def _read_or_nothing(path: Path) -> str:
    """An unreadable template is reported when it is rendered."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _finding(rule_id: str, file: Path, path: str, message: str, line: int) -> LintFinding:
    rule = RULES[rule_id]
    return LintFinding(
        rule=rule.id,
        severity=rule.severity,
        path=path,
        message=message,
        remedy=rule.remedy,
        place=LintPlace(file=str(file), line=line, column=1),
    )
