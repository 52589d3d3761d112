"""What the linter finds in a previewed card, as the page shows it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from notifier.cards.lint_findings import LintFinding, LintPlace
from notifier.cards.linter import lint_template
from notifier.cards.templates import CardTemplates
from notifier.operations.templates.own_files import find_own_file_faults


def find_template_problems(
    templates: CardTemplates, name: str, variables: Mapping[str, object], folders: Sequence[Path]
) -> list[dict[str, Any]]:
    """Return the findings of a rendered template. The files of places are relative to the folders of templates."""
    return [_with_short_names(finding, folders) for finding in lint_template(templates, name, variables)]


def find_own_file_problems(own: Path | None, folders: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the faults of the company's own files that no card shows. own: its folder; None: there is none."""
    return [_with_short_names(finding, folders) for finding in find_own_file_faults(own)]


def find_broken_place(
    templates: CardTemplates, name: str, variables: Mapping[str, object]
) -> LintPlace | None:
    """Return the place in a template that does not render, also if its output is no JSON; None: not known."""
    found = lint_template(templates, name, variables)
    return found[0].place if found else None


def _with_short_names(finding: LintFinding, folders: Sequence[Path]) -> dict[str, Any]:
    shown = finding.as_json()
    for place in (shown["place"], *shown["called_from"]):
        if place is not None:
            place["file"] = shorten(place["file"], folders)
    return shown


def shorten(file: str, folders: Sequence[Path]) -> str:
    """Return the name of a template file as templates write it."""
    path = Path(file)
    inside = next((folder for folder in folders if path.is_relative_to(folder)), None)
    return file if inside is None else path.relative_to(inside).as_posix()
