"""Offline checks: the configuration, and every template with every sample."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from notifier.cards.templates import OUR_TEMPLATES, CardTemplates
from notifier.cards.templating import builder
from notifier.cards.templating.builder import is_pinned, is_reference
from notifier.clock import Clock, from_millis, to_millis
from notifier.config.loader import WELL_KNOWN_VARIABLES, LoadedConfig
from notifier.config.sections import Transport
from notifier.config.settings import Config, suggest_name
from notifier.errors import TemplateBroken
from notifier.feishu.card_rules import card_problems
from notifier.flow.digests.schedule import next_due
from notifier.operations.check_result import CheckResult
from notifier.operations.environment_checks import check_environment
from notifier.operations.sample_cards import list_samples, make_sample
from notifier.operations.templates import own_templates
from notifier.store.engine.backends import find_backend

MAX_PROBLEMS = 5
"""Problems of one template that a check shows."""


KNOWN_FILES = [
    *OUR_TEMPLATES,
    *own_templates.SHARED_FILES,
    *own_templates.TEXT_FILES,
    *(
        name.removesuffix(".json.j2") + kind
        for name in OUR_TEMPLATES
        for kind in (builder.CARD_FILE, builder.VALUES_FILE)
    ),
]
"""Files of the company's folder that the service uses by their name."""


def list_templates(config: Config) -> list[str]:
    """List the names of all templates, shipped and custom."""
    return CardTemplates(config.cards.template_dir).names()


def render_sample(config: Config, template: str, sample_name: str | None) -> dict[str, Any]:
    """Render a template. sample_name: None for the first that fits. Raises TemplateBroken, ConfigError."""
    samples = list_samples(template)
    templates = CardTemplates(config.cards.template_dir)
    with templates.using_texts():
        card = make_sample(sample_name or samples[0], config, allowed=samples)
    return templates.render(template, {"card": card})


def check_offline(loaded: LoadedConfig, clock: Clock) -> list[CheckResult]:
    """Check the loaded configuration, the credentials, every template with every sample, and the machine."""
    return [*check_configuration(loaded, clock), *check_environment(loaded)]


def check_configuration(loaded: LoadedConfig, clock: Clock) -> list[CheckResult]:
    """The same without the machine."""
    config = loaded.config
    file = str(loaded.file) if loaded.file else "no file; defaults and the environment"
    results = [
        CheckResult(is_ok=True, subject=f"configuration: {file}"),
        *_origins(loaded),
        *_credentials(config),
    ]
    results += [*_webhook(config), _store(config), *_limits(config)]
    results += [*_digests(config, clock), *_templates(config)]
    return results


DOCUMENTED_LIMITS = {
    ("sending", "per_second"): 50,
    ("sending", "per_minute"): 1000,
    ("sending", "per_chat_per_second"): 5,
    ("withdrawals", "per_minute"): 100,
    ("referrers", "lookups_per_second"): 10,
    ("reconciliation", "reads_per_second"): 10,
}
"""What Feishu documents for every tenant, by section and setting."""


def _limits(config: Config) -> Iterable[CheckResult]:
    """Name the rate limits that are higher than Feishu documents. Feishu may have granted them."""
    for (section, name), documented in DOCUMENTED_LIMITS.items():
        value = getattr(getattr(config, section), name)
        if value > documented:
            yield CheckResult(
                is_ok=False,
                is_checkable=False,
                subject=f"{section}.{name}: {value:g} is higher than the {documented} that Feishu documents",
                next_step="keep it only if Feishu has granted your tenant more",
            )


def _digests(config: Config, clock: Clock) -> Iterable[CheckResult]:
    """Check that each digest has a next run, with the calendar's closed days left out."""
    now = clock.now()
    for plan in config.digest_plans():
        try:
            next_run = next_due(plan, to_millis(now))
        except ValueError as error:
            yield CheckResult(
                is_ok=False, subject=f"digest {plan.name}: {error}", next_step="correct calendar.closed_on"
            )
            continue
        if next_run is None:
            next_step = f"correct its cron expression, {plan.cron}"
            yield CheckResult(is_ok=False, subject=f"digest {plan.name} has no next run", next_step=next_step)
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
    """Show the webhook settings. Only the developer console can check that Feishu reaches the address."""
    webhook = config.webhook
    if config.feishu.transport is Transport.WEBHOOK:
        names = ("encrypt_key", "verification_token")
        shown = [name for name in names if getattr(webhook, name).get_secret_value()]
        subject = f"webhook: {webhook.listen}{webhook.path}, checked by {' and '.join(shown)}"
        yield CheckResult(is_ok=True, subject=subject)


def _store(config: Config) -> CheckResult:
    """Check that the database can be created or written. Does not create it."""
    backend = find_backend(config.store.url)
    path = backend.get_file(config.store.url)
    if path is None:
        place = backend.describe(backend.parse_url(config.store.url))
        return CheckResult(
            is_ok=True,
            is_checkable=not backend.is_shared,
            subject=f"database: {place}",
            next_step="`notifier doctor` connects to it" if backend.is_shared else "",
        )
    existing = next(place for place in (path, *path.parents) if place.exists())
    if (existing.is_file() and existing != path) or not os.access(existing, os.W_OK):
        return CheckResult(
            is_ok=False,
            subject=f"store.url: {path} cannot be written",
            next_step="name a folder you may write to",
        )
    return CheckResult(
        is_ok=True, subject=f"database: {path}{'' if existing == path else ' (will be created)'}"
    )


def is_writable_folder(path: Path) -> bool:
    """Whether a file can be created there."""
    return path.is_dir() and os.access(path, os.W_OK)


def _templates(config: Config) -> list[CheckResult]:
    templates = CardTemplates(config.cards.template_dir)
    own = [name for name in templates.names() if name not in OUR_TEMPLATES]
    results = [_template(templates, name, config) for name in OUR_TEMPLATES]
    unused = _unused_files(config.cards.template_dir, KNOWN_FILES)
    results += [
        result
        for name in own
        if not (result := _template(templates, name, config)).is_ok or name not in unused
    ]
    results += [_unused(name) for name in unused]
    return [*results, *_texts(templates, config)]


def _texts(templates: CardTemplates, config: Config) -> Iterable[CheckResult]:
    """Name every fault in the company's texts."""
    for fault in templates.texts.faults:
        step = "correct it; until then the shipped text is used"
        yield CheckResult(is_ok=False, subject=f"text {fault}", next_step=step)
    for name in own_templates.list_own_texts(config):
        if not any(fault.file == name for fault in templates.texts.faults):
            yield CheckResult(is_ok=True, subject=f"texts {name} (own)")


def _unused_files(folder: Path | None, known: list[str]) -> list[str]:
    """Return the files of the operator's template folder that replace no shipped file and that no other file names."""
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
        if name not in known
        and not any(
            quoted in text
            for other, text in texts.items()
            if other != name
            for quoted in (f'"{name}"', f"'{name}'")
        )
    ]


def _read_or_nothing(path: Path) -> str:
    """An unreadable template is reported when it is rendered."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _unused(name: str) -> CheckResult:
    return CheckResult(
        is_ok=False,
        subject=f"template {name} is never used{suggest_name(name, KNOWN_FILES)}",
        next_step="give it the name of the shipped template that it replaces, or remove it",
    )


def _template(templates: CardTemplates, name: str, config: Config) -> CheckResult:
    """Render every sample. All problems are reported, each once."""
    samples = list_samples(name)
    found: dict[str, str] = {}
    for sample_name in samples:
        try:
            with templates.using_texts():
                card = templates.render(name, {"card": make_sample(sample_name, config)})
        except (TemplateBroken, OSError) as error:
            found.setdefault(str(error), sample_name)
            continue
        for problem in [] if is_reference(card) else card_problems(card):
            found.setdefault(f"{name} (sample {sample_name}): {problem.path}: {problem.message}", sample_name)
    if found:
        said = "; ".join(list(found)[:MAX_PROBLEMS])
        more = f"; and {len(found) - MAX_PROBLEMS} more" if len(found) > MAX_PROBLEMS else ""
        first = next(iter(found.values()))
        return CheckResult(
            is_ok=False,
            subject=f"template {said}{more}",
            next_step=f"see it with: notifier preview {name} --sample {first}",
        )
    file = templates.builder_file(name)
    if file is not None and is_reference(card) and not is_pinned(card):
        return CheckResult(
            is_ok=False,
            subject=f"template {file}: has no template_version_name; every publication changes cards at once",
            next_step="add the version that you have tested",
        )
    return CheckResult(
        is_ok=True, subject=f"template {file or name} ({templates.source_of(name)}), {len(samples)} samples"
    )
