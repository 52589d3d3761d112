"""Renders a template for a preview, and explains why it cannot be rendered."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from notifier.cards.lint_findings import LintPlace
from notifier.cards.templates import CardTemplates, shipped_templates
from notifier.errors import NotifierError, TemplateBroken
from notifier.operations.preview import variables
from notifier.operations.preview.findings import (
    find_broken_place,
    find_own_file_problems,
    find_template_problems,
    shorten,
)
from notifier.operations.preview.result import (
    PreviewChoice,
    PreviewError,
    RenderedPreview,
    explain_error,
    read_line,
)


class TemplateRenderer:
    """Renders the templates as they are on disk now.

    own: the operator's folder; None: the shipped templates alone. data_file: a file that errors may name, or None.
    """

    def __init__(self, own: Path | None, data_file: Path | None = None) -> None:
        self._own = own
        self._data_file = data_file
        self._folders = [*([own] if own else []), shipped_templates()]
        self._loaded: tuple[list[Path], CardTemplates] | None = None

    @property
    def templates(self) -> CardTemplates:
        """The templates. They notice that a file was saved, but not that a new file replaces a shipped one."""
        files = self.list_files()
        if self._loaded is None or self._loaded[0] != files:
            self._loaded = files, CardTemplates(self._own)
        return self._loaded[1]

    def list_files(self) -> list[Path]:
        """List the files of all templates, texts and cards of the card builder, and the data file."""
        kinds = ("*.j2", "*.yaml", "*.yml", "*.card.json")
        found = [path for folder in self._folders for kind in kinds for path in sorted(folder.rglob(kind))]
        return [*found, *([self._data_file] if self._data_file else [])]

    def render(
        self,
        title: str,
        choice: PreviewChoice,
        context: Mapping[str, object],
        people: Sequence[Mapping[str, str]] = (),
    ) -> RenderedPreview:
        """Render the template of a choice. context: its variables. people: those whose names are known."""
        templates, name = self.templates, choice.template
        own_problems = find_own_file_problems(self._own, self._folders)
        chosen = replace(choice, audience=variables.get_audience(context))
        try:
            card = templates.render(name, context)
        except TemplateBroken as error:
            place = find_broken_place(templates, name, context)
            explained = self.explain(error, place)
            return RenderedPreview(title=title, choice=chosen, error=explained, findings=own_problems)
        data = variables.to_json(context)
        return RenderedPreview(
            title=title,
            choice=chosen,
            card=card,
            data=data,
            people=[*variables.list_shown_people(data), *people],
            findings=[*own_problems, *find_template_problems(templates, name, context, self._folders)],
            audiences=variables.list_audiences(context),
        )

    def explain(self, error: NotifierError, place: LintPlace | None = None) -> PreviewError:
        """Return an error with its file and line. place: where it is, if that is known better than the message does."""
        explained = explain_error(error, self._find_file)
        if place is None:
            return explained
        file, text = shorten(place.file, self._folders), read_line(Path(place.file), place.line)
        return replace(explained, file=file, line=place.line, text=text)

    def _find_file(self, name: str) -> Path | None:
        if self._data_file is not None and name == self._data_file.name:
            return self._data_file
        paths = (folder / name for folder in self._folders)
        return next((path for path in paths if path.is_file()), None)
