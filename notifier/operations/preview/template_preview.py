"""Previews of templates, with samples or with the data of a file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from notifier.cards.lint_findings import LintPlace
from notifier.cards.templates import BALANCE_TEMPLATES, CardTemplates, shipped_templates
from notifier.config.settings import Config, suggest_name
from notifier.domain.delivery import CardVariant
from notifier.errors import ConfigError, TemplateBroken
from notifier.operations.preview import variables
from notifier.operations.preview.findings import find_broken_place, find_template_problems, shorten
from notifier.operations.preview.result import (
    PreviewChoice,
    PreviewError,
    RenderedPreview,
    explain_error,
    read_line,
)
from notifier.operations.sample_cards import list_samples, make_sample

DEFAULT_TEMPLATE = BALANCE_TEMPLATES[CardVariant.FULL]


class TemplatePreview:
    """Renders the templates of the configuration. Implements the protocol PreviewSource.

    data_file: the variables, or an event of Feishu, that a choice without a sample uses; None: the first sample.
    """

    def __init__(self, config: Config, data_file: Path | None = None) -> None:
        self._config = config
        self._data_file = data_file
        self._folders = [
            *([config.cards.template_dir] if config.cards.template_dir else []),
            shipped_templates(),
        ]

        self._loaded: tuple[list[Path], CardTemplates] | None = None

    def _load_templates(self) -> CardTemplates:
        """Return the templates. They notice that a file was saved, but not that a new file replaces a shipped one."""
        files = self.list_watched_files()
        if self._loaded is None or self._loaded[0] != files:
            self._loaded = files, CardTemplates(self._config.cards.template_dir)
        return self._loaded[1]

    def list_choices(self) -> list[dict[str, Any]]:
        """List the templates with their samples. The sample "" stands for the data file."""
        templates = self._load_templates()
        return [
            {
                "template": name,
                "source": templates.source_of(name),
                "samples": list(list_samples(name)),
                "data_file": self._data_file.name if self._data_file else None,
            }
            for name in templates.names()
        ]

    def list_watched_files(self) -> list[Path]:
        """List the templates, and the data file."""
        found = [path for folder in self._folders for path in sorted(folder.rglob("*.j2"))]
        return [*found, *([self._data_file] if self._data_file else [])]

    def render(self, choice: PreviewChoice) -> RenderedPreview:
        """Render a template. Raises ConfigError if the template or the sample does not exist."""
        template = choice.template or DEFAULT_TEMPLATE
        templates = self._load_templates()
        names = templates.names()
        if template not in names:
            raise ConfigError(
                f"{template}: there is no such template{suggest_name(template, names)}; there are: {', '.join(names)}"
            )
        sample = choice.sample or ("" if self._data_file else list_samples(template)[0])
        chosen = PreviewChoice(template=template, sample=sample, audience=choice.audience)
        title = f"{template} · {sample or (self._data_file.name if self._data_file else '')}"
        try:
            context = variables.set_audience(self._variables(template, sample), choice.audience)
        except ConfigError as error:
            if sample or self._data_file is None:
                raise
            return RenderedPreview(title=title, choice=chosen, error=self._explain(str(error)))
        audience = variables.get_audience(context)
        chosen = PreviewChoice(template=template, sample=sample, audience=audience)
        try:
            card = templates.render(template, context)
        except (TemplateBroken, OSError) as error:
            place = find_broken_place(templates, template, context)
            return RenderedPreview(title=title, choice=chosen, error=self._explain(str(error), place))
        data = variables.to_json(context)
        return RenderedPreview(
            title=title,
            choice=chosen,
            card=card,
            data=data,
            people=variables.list_shown_people(data),
            findings=find_template_problems(templates, template, context, self._folders),
            audiences=variables.list_audiences(context),
        )

    def _variables(self, template: str, sample: str) -> dict[str, object]:
        if not sample and self._data_file is not None:
            return variables.read_variables(self._data_file, self._config)
        return {"card": make_sample(sample, self._config, allowed=list_samples(template))}

    def _explain(self, message: str, place: LintPlace | None = None) -> PreviewError:
        explained = explain_error(message, self._find_file)
        if place is None:
            return explained
        file, text = shorten(place.file, self._folders), read_line(Path(place.file), place.line)
        return replace(explained, file=file, line=place.line, text=text)

    def _find_file(self, name: str) -> Path | None:
        if self._data_file is not None and name == self._data_file.name:
            return self._data_file
        paths = (folder / name for folder in self._folders)
        return next((path for path in paths if path.is_file()), None)


def render_or_fail(source: TemplatePreview, choice: PreviewChoice) -> RenderedPreview:
    """Render a choice for a command without a page. Raises TemplateBroken instead of returning an error."""
    rendered = source.render(choice)
    if rendered.error is not None:
        error = rendered.error
        place = (
            f"{error.file}, line {error.line}: " if error.line else f"{error.file}: " if error.file else ""
        )
        raise TemplateBroken(f"{place}{error.message}")
    return rendered


def as_text(rendered: RenderedPreview) -> str:
    """Return the card as JSON text."""
    return json.dumps(rendered.card, ensure_ascii=False, indent=2)
