"""Cards of samples, rendered with the shipped templates or those of a configuration."""

from typing import Any

from notifier.cards.templates import CardTemplates
from notifier.config.settings import Config
from notifier.operations.sample_cards import list_samples, make_sample


def render_sample(config: Config, template: str, sample_name: str | None) -> dict[str, Any]:
    """Render a template. sample_name: None for the first that fits. Raises TemplateBroken, ConfigError."""
    samples = list_samples(template)
    card = make_sample(sample_name or samples[0], config, allowed=samples)
    return CardTemplates(config.cards.template_dir).render(template, {"card": card})
