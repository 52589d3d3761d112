"""Checks that need no network: configuration, and every template with every sample."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from notifier.cards.templates import OUR_TEMPLATES, CardTemplates
from notifier.clock import SystemClock, from_millis, to_millis
from notifier.config.loader import WELL_KNOWN_VARIABLES, LoadedConfig
from notifier.config.sections import Transport
from notifier.config.settings import Config
from notifier.errors import TemplateBroken
from notifier.feishu.card_rules import card_problems
from notifier.flow.digests.schedule import next_due
from notifier.operations.sample_cards import list_samples, make_sample


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One thing looked at. step: what to do about it, when it is not good."""

    is_ok: bool
    subject: str
    next_step: str = ""

    def as_line(self) -> str:
        return f"{'ok      ' if self.is_ok else 'PROBLEM '} {self.subject}{f' -> {self.next_step}' if self.next_step else ''}"


def list_templates(config: Config) -> list[str]:
    return CardTemplates(config.cards.template_dir).names()


def render_sample(config: Config, template: str, sample_name: str | None) -> dict[str, Any]:
    """sample_name: None for the first that fits. Raises TemplateBroken, ConfigError."""
    samples = list_samples(template)
    card = make_sample(sample_name or samples[0], config, allowed=samples)
    return CardTemplates(config.cards.template_dir).render(template, {"card": card})


def check_offline(loaded: LoadedConfig) -> list[CheckResult]:
    """Configuration (which has been read when we come here), credentials and every template with every sample."""
    config = loaded.config
    file = str(loaded.file) if loaded.file else "no file; defaults and the environment"
    results = [
        CheckResult(is_ok=True, subject=f"configuration: {file}"),
        *_origins(loaded),
        *_credentials(config),
    ]
    results += [*_webhook(config), _store(config), *_digests(config), *_templates(config)]
    return results


def _digests(config: Config) -> Iterable[CheckResult]:
    """When each comes next; and that the calendar leaves days on which it can."""
    now = SystemClock().now()
    for plan in config.digest_plans():
        try:
            next_run = next_due(plan, to_millis(now))
        except ValueError as error:
            yield CheckResult(
                is_ok=False, subject=f"digest {plan.name}: {error}", next_step="look at calendar.closed_on"
            )
            continue
        if next_run is None:
            next_step = f"look at its cron expression, {plan.cron}"
            yield CheckResult(is_ok=False, subject=f"digest {plan.name} never comes", next_step=next_step)
        else:
            at = f"{from_millis(next_run.at).astimezone(plan.zone):%Y-%m-%d %H:%M}"
            yield CheckResult(is_ok=True, subject=f"digest {plan.name}: next {at} {plan.zone}")


def _origins(loaded: LoadedConfig) -> Iterable[CheckResult]:
    for path, variable in loaded.origins.items():
        yield CheckResult(is_ok=True, subject=f"{path} comes from {variable}")
    for variable, winner in loaded.overridden.items():
        yield CheckResult(is_ok=True, subject=f"{variable} is set too, but {winner} wins")


def _credentials(config: Config) -> Iterable[CheckResult]:
    for key, value in (
        ("app_id", config.feishu.app_id),
        ("app_secret", config.feishu.app_secret.get_secret_value()),
    ):
        name = WELL_KNOWN_VARIABLES["feishu", key][0]
        yield CheckResult(
            is_ok=bool(value),
            subject=f"feishu.{key} is {'set' if value else 'missing'}",
            next_step="" if value else f"set {name} in the environment (developer console, page Credentials)",
        )


def _webhook(config: Config) -> Iterable[CheckResult]:
    """Whether Feishu gets through to it only the developer console can say."""
    webhook = config.webhook
    if config.feishu.transport is Transport.WEBHOOK:
        names = ("encrypt_key", "verification_token")
        shown = [name for name in names if getattr(webhook, name).get_secret_value()]
        subject = f"webhook: {webhook.listen}{webhook.path}, checked by {' and '.join(shown)}"
        yield CheckResult(is_ok=True, subject=subject)


def _store(config: Config) -> CheckResult:
    """Whether the database can be made or written where it is meant to be, without making it."""
    path = Path(config.store.url.removeprefix("sqlite:///")).absolute()
    existing = next(place for place in (path, *path.parents) if place.exists())
    if (existing.is_file() and existing != path) or not os.access(existing, os.W_OK):
        return CheckResult(
            is_ok=False,
            subject=f"store.url: {path} cannot be written",
            next_step="name a folder you may write to",
        )
    return CheckResult(is_ok=True, subject=f"database: {path}{'' if existing == path else ' (will be made)'}")


def _templates(config: Config) -> list[CheckResult]:
    templates = CardTemplates(config.cards.template_dir)
    own = [name for name in templates.names() if name not in OUR_TEMPLATES]
    return [_template(templates, name, config) for name in [*OUR_TEMPLATES, *own]]


def _template(templates: CardTemplates, name: str, config: Config) -> CheckResult:
    samples = list_samples(name)
    for sample_name in samples:
        try:
            card = templates.render(name, {"card": make_sample(sample_name, config)})
        except TemplateBroken as error:
            return CheckResult(
                is_ok=False,
                subject=f"template {error}",
                next_step=f"see it with: notifier preview {name} --sample {sample_name}",
            )
        problems = card_problems(card)
        if problems:
            return CheckResult(
                is_ok=False,
                subject=f"template {name} (sample {sample_name}): {problems[0].path}: {problems[0].message}",
                next_step=f"see it with: notifier preview {name} --sample {sample_name}",
            )
    return CheckResult(
        is_ok=True, subject=f"template {name} ({templates.source_of(name)}), {len(samples)} samples"
    )
