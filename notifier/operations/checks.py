"""Checks that need no network: configuration, and every template with every sample."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from notifier.cards.templates import OUR_TEMPLATES, CardTemplates
from notifier.clock import SystemClock, from_millis, to_millis
from notifier.config.loader import WELL_KNOWN, Loaded
from notifier.config.settings import Config, Transport
from notifier.errors import TemplateBroken
from notifier.feishu.card_rules import card_problems
from notifier.flow.digests.schedule import next_due
from notifier.operations.sample_cards import sample, samples_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at. step: what to do about it, when it is not good."""

    good: bool
    what: str
    step: str = ""

    def line(self) -> str:
        return (
            f"{'ok      ' if self.good else 'PROBLEM '} {self.what}{f' -> {self.step}' if self.step else ''}"
        )


def template_names(config: Config) -> list[str]:
    return CardTemplates(config.cards.template_dir).names()


def preview(config: Config, template: str, sample_name: str | None) -> dict[str, Any]:
    """sample_name: None for the first that fits. Raises TemplateBroken, ConfigError."""
    fitting = samples_for(template)
    card = sample(sample_name or fitting[0], config, among=fitting)
    return CardTemplates(config.cards.template_dir).render(template, {"card": card})


def offline(loaded: Loaded) -> list[Finding]:
    """Configuration (which has been read when we come here), credentials and every template with every sample."""
    config = loaded.config
    file = str(loaded.file) if loaded.file else "no file; defaults and the environment"
    findings = [Finding(good=True, what=f"configuration: {file}"), *_origins(loaded), *_credentials(config)]
    findings += [*_webhook(config), _store(config), *_digests(config), *_templates(config)]
    return findings


def _digests(config: Config) -> Iterable[Finding]:
    """When each comes next; and that the calendar leaves days on which it can."""
    now = SystemClock().now()
    for plan in config.digest_plans():
        try:
            coming = next_due(plan, to_millis(now))
        except ValueError as error:
            yield Finding(good=False, what=f"digest {plan.name}: {error}", step="look at calendar.closed_on")
            continue
        if coming is None:
            step = f"look at its cron expression, {plan.cron}"
            yield Finding(good=False, what=f"digest {plan.name} never comes", step=step)
        else:
            at = f"{from_millis(coming.at).astimezone(plan.zone):%Y-%m-%d %H:%M}"
            yield Finding(good=True, what=f"digest {plan.name}: next {at} {plan.zone}")


def _origins(loaded: Loaded) -> Iterable[Finding]:
    for path, variable in loaded.origins.items():
        yield Finding(good=True, what=f"{path} comes from {variable}")
    for variable, winner in loaded.overruled.items():
        yield Finding(good=True, what=f"{variable} is set too, but {winner} wins")


def _credentials(config: Config) -> Iterable[Finding]:
    for key, value in (
        ("app_id", config.feishu.app_id),
        ("app_secret", config.feishu.app_secret.get_secret_value()),
    ):
        name = WELL_KNOWN["feishu", key][0]
        yield Finding(
            good=bool(value),
            what=f"feishu.{key} is {'set' if value else 'missing'}",
            step="" if value else f"set {name} in the environment (developer console, page Credentials)",
        )


def _webhook(config: Config) -> Iterable[Finding]:
    """Whether Feishu gets through to it only the developer console can say."""
    webhook = config.webhook
    if config.feishu.transport is Transport.WEBHOOK:
        names = ("encrypt_key", "verification_token")
        shown = [name for name in names if getattr(webhook, name).get_secret_value()]
        what = f"webhook: {webhook.listen}{webhook.path}, checked by {' and '.join(shown)}"
        yield Finding(good=True, what=what)


def _store(config: Config) -> Finding:
    """Whether the database can be made or written where it is meant to be, without making it."""
    path = Path(config.store.url.removeprefix("sqlite:///")).absolute()
    there = next(place for place in (path, *path.parents) if place.exists())
    if (there.is_file() and there != path) or not os.access(there, os.W_OK):
        return Finding(
            good=False, what=f"store.url: {path} cannot be written", step="name a folder you may write to"
        )
    return Finding(good=True, what=f"database: {path}{'' if there == path else ' (will be made)'}")


def _templates(config: Config) -> list[Finding]:
    templates = CardTemplates(config.cards.template_dir)
    own = [name for name in templates.names() if name not in OUR_TEMPLATES]
    return [_template(templates, name, config) for name in [*OUR_TEMPLATES, *own]]


def _template(templates: CardTemplates, name: str, config: Config) -> Finding:
    fitting = samples_for(name)
    for sample_name in fitting:
        try:
            card = templates.render(name, {"card": sample(sample_name, config)})
        except TemplateBroken as error:
            return Finding(
                good=False,
                what=f"template {error}",
                step=f"see it with: notifier preview {name} --sample {sample_name}",
            )
        problems = card_problems(card)
        if problems:
            return Finding(
                good=False,
                what=f"template {name} (sample {sample_name}): {problems[0].path}: {problems[0].message}",
                step=f"see it with: notifier preview {name} --sample {sample_name}",
            )
    return Finding(good=True, what=f"template {name} ({templates.source_of(name)}), {len(fitting)} samples")
