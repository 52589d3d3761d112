"""Previews of templates: with samples, with the data of a file, or with given variables."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from notifier.cards.templates import BALANCE_TEMPLATES
from notifier.config.settings import Config, suggest_name
from notifier.domain.delivery import CardVariant
from notifier.errors import ConfigError, TemplateBroken
from notifier.operations.preview import variables
from notifier.operations.preview.result import PreviewChoice, RenderedPreview
from notifier.operations.preview.template_renderer import TemplateRenderer
from notifier.operations.sample_cards import list_samples, make_sample

DEFAULT_TEMPLATE = BALANCE_TEMPLATES[CardVariant.FULL]


class TemplatePreview:
    """Renders the templates of the configuration. Implements the protocol PreviewSource.

    data_file: the variables, or an event of Feishu, that a choice without a sample uses; None: the first sample.
    """

    def __init__(self, config: Config, data_file: Path | None = None) -> None:
        self._config = config
        self._data_file = data_file
        self._renderer = TemplateRenderer(config.cards.template_dir, data_file)

    def list_choices(self) -> list[dict[str, Any]]:
        """List the templates with their samples. The sample "" stands for the data file."""
        templates = self._renderer.templates
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
        return self._renderer.list_files()

    def render(self, choice: PreviewChoice) -> RenderedPreview:
        """Render a template. Raises ConfigError if the template or the sample does not exist."""
        template = choice.template or DEFAULT_TEMPLATE
        names = self._renderer.templates.names()
        if template not in names:
            guess, listed = suggest_name(template, names), ", ".join(names)
            raise ConfigError(
                f"{template}: there is no such template{guess.en}; there are: {listed}",
                zh=f"{template}：没有这个模板{guess.zh}；现有：{listed}",
            )
        sample = choice.sample or ("" if self._data_file else list_samples(template)[0])
        chosen = replace(choice, template=template, sample=sample)
        title = f"{template} · {sample or (self._data_file.name if self._data_file else '')}"
        try:
            found = self._read_variables(template, sample)
        except ConfigError as error:
            if sample or self._data_file is None:
                raise
            return RenderedPreview(title=title, choice=chosen, error=self._renderer.explain(error))
        return self._renderer.render(title, chosen, variables.set_audience(found, choice.audience))

    def _read_variables(self, template: str, sample: str) -> dict[str, object]:
        if not sample and self._data_file is not None:
            return variables.read_variables(self._data_file, self._config)
        return {"card": make_sample(sample, self._config, allowed=list_samples(template))}


class FixedDataPreview:
    """Renders one template with the same variables each time, such as a digest. Implements the protocol PreviewSource.

    people: open_id, name and en_name of the people on the card.
    """

    def __init__(
        self,
        config: Config,
        template: str,
        context: Mapping[str, object],
        *,
        title: str,
        people: Sequence[Mapping[str, str]],
    ) -> None:
        self._renderer = TemplateRenderer(config.cards.template_dir)
        self._choice = PreviewChoice(template=template)
        self._context, self._title, self._people = context, title, people

    def list_choices(self) -> list[dict[str, Any]]:
        """There is nothing to choose."""
        return []

    def list_watched_files(self) -> list[Path]:
        """List the templates."""
        return self._renderer.list_files()

    def render(self, choice: PreviewChoice) -> RenderedPreview:  # noqa: ARG002 - the protocol's argument
        """Render the template as it is now, whatever the choice."""
        return self._renderer.render(self._title, self._choice, self._context, self._people)


def render_or_fail(source: TemplatePreview, choice: PreviewChoice) -> RenderedPreview:
    """Render a choice for a command without a page. Raises TemplateBroken instead of returning an error."""
    rendered = source.render(choice)
    if rendered.error is not None:
        error = rendered.error
        place = (
            f"{error.file}, line {error.line}: " if error.line else f"{error.file}: " if error.file else ""
        )
        raise TemplateBroken(f"{place}{error.message}", zh=f"{place}{error.message_zh}")
    return rendered


def as_text(rendered: RenderedPreview) -> str:
    """Return the card as JSON text."""
    return json.dumps(rendered.card, ensure_ascii=False, indent=2)
