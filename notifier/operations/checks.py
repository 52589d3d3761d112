"""Offline checks: the configuration, and every template with every sample."""

import os
from collections.abc import Iterable
from pathlib import Path

from notifier.cards.rules import card_problems
from notifier.cards.templates import OUR_TEMPLATES, CardTemplates
from notifier.cards.templating.builder import is_pinned, is_reference
from notifier.clock import Clock, from_millis, to_millis
from notifier.config.loader import WELL_KNOWN_VARIABLES, LoadedConfig
from notifier.config.sections import Transport
from notifier.config.settings import Config, suggest_name
from notifier.domain.card import Bilingual
from notifier.domain.scopes import CREDENTIALS_MENU
from notifier.errors import TemplateBroken
from notifier.flow.digests.schedule import next_due
from notifier.operations.check_result import NOTHING, CheckResult
from notifier.operations.environment_checks import check_environment
from notifier.operations.sample_cards import list_samples, make_sample
from notifier.operations.templates import own_templates
from notifier.operations.templates.own_files import KNOWN_FILES, list_unused_files
from notifier.store.engine.backends import find_backend

MAX_PROBLEMS = 5
"""Problems of one template that a check shows."""


def check_offline(loaded: LoadedConfig, clock: Clock) -> list[CheckResult]:
    """Check the loaded configuration, the credentials, every template with every sample, and the machine."""
    return [*check_configuration(loaded, clock), *check_environment(loaded)]


def check_configuration(loaded: LoadedConfig, clock: Clock) -> list[CheckResult]:
    """The same without the machine."""
    config = loaded.config
    file = str(loaded.file) if loaded.file else ""
    subject = Bilingual(
        zh=f"配置：{file or '没有文件，使用默认值和环境变量'}",
        en=f"configuration: {file or 'no file; defaults and the environment'}",
    )
    results = [
        CheckResult(is_ok=True, subject=subject),
        *_origins(loaded),
        *_credentials(config),
    ]
    results += [*_webhook(config), _store(config), *_limits(config)]
    results += [*_digests(config, clock), *check_templates(config)]
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
                subject=Bilingual(
                    zh=f"{section}.{name}：{value:g} 高于飞书文档中的 {documented}",
                    en=f"{section}.{name}: {value:g} is higher than the {documented} that Feishu documents",
                ),
                next_step=Bilingual(
                    zh="只有飞书为你的企业提高了上限时才保留",
                    en="keep it only if Feishu has granted your tenant more",
                ),
            )


def _digests(config: Config, clock: Clock) -> Iterable[CheckResult]:
    """Check that each digest has a next run, with the calendar's closed days left out."""
    now = clock.now()
    for plan in config.digest_plans():
        try:
            next_run = next_due(plan, to_millis(now))
        except ValueError as error:
            yield CheckResult(
                is_ok=False,
                subject=Bilingual(
                    zh=f"摘要 {plan.name}：找不到工作日（“{error}”）", en=f"digest {plan.name}: {error}"
                ),
                next_step=Bilingual(zh="修改 calendar.closed_on", en="correct calendar.closed_on"),
            )
            continue
        if next_run is None:
            yield CheckResult(
                is_ok=False,
                subject=Bilingual(
                    zh=f"摘要 {plan.name} 没有下一次发送", en=f"digest {plan.name} has no next run"
                ),
                next_step=Bilingual(
                    zh=f"修改它的 cron 表达式 {plan.cron}", en=f"correct its cron expression, {plan.cron}"
                ),
            )
        else:
            at = f"{from_millis(next_run.at).astimezone(plan.zone):%Y-%m-%d %H:%M}"
            subject = Bilingual(
                zh=f"摘要 {plan.name}：下一次 {at} {plan.zone}",
                en=f"digest {plan.name}: next {at} {plan.zone}",
            )
            yield CheckResult(is_ok=True, subject=subject)


def _origins(loaded: LoadedConfig) -> Iterable[CheckResult]:
    for path, variable in loaded.origins.items():
        subject = Bilingual(zh=f"{path} 来自 {variable}", en=f"{path} comes from {variable}")
        yield CheckResult(is_ok=True, subject=subject)
    for variable, winner in loaded.overridden.items():
        subject = Bilingual(
            zh=f"也设置了 {variable}，但以 {winner} 为准", en=f"{variable} is set too, but {winner} wins"
        )
        yield CheckResult(is_ok=True, subject=subject)


def _credentials(config: Config) -> Iterable[CheckResult]:
    for key, value in (
        ("app_id", config.feishu.app_id),
        ("app_secret", config.feishu.app_secret.get_secret_value()),
    ):
        name = WELL_KNOWN_VARIABLES["feishu", key][0]
        yield CheckResult(
            is_ok=bool(value),
            subject=Bilingual(
                zh=f"feishu.{key} {'已设置' if value else '没有设置'}",
                en=f"feishu.{key} is {'set' if value else 'missing'}",
            ),
            next_step=NOTHING
            if value
            else Bilingual(
                zh=f"设置环境变量 {name}，值见开发者后台“{CREDENTIALS_MENU.zh}”",
                en=f"set {name} in the environment (developer console, page {CREDENTIALS_MENU.en})",
            ),
        )


def _webhook(config: Config) -> Iterable[CheckResult]:
    """Show the webhook settings. Only the developer console can check that Feishu reaches the address."""
    webhook = config.webhook
    if config.feishu.transport is Transport.WEBHOOK:
        names = ("encrypt_key", "verification_token")
        shown = [name for name in names if getattr(webhook, name).get_secret_value()]
        place = f"{webhook.listen}{webhook.path}"
        subject = Bilingual(
            zh=f"webhook：{place}，校验方式 {'、'.join(shown)}",
            en=f"webhook: {place}, checked by {' and '.join(shown)}",
        )
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
            subject=Bilingual(zh=f"数据库：{place}", en=f"database: {place}"),
            next_step=Bilingual(zh="`notifier doctor` 会连接它", en="`notifier doctor` connects to it")
            if backend.is_shared
            else NOTHING,
        )
    existing = next(place for place in (path, *path.parents) if place.exists())
    if (existing.is_file() and existing != path) or not os.access(existing, os.W_OK):
        return CheckResult(
            is_ok=False,
            subject=Bilingual(zh=f"store.url：{path} 不可写", en=f"store.url: {path} cannot be written"),
            next_step=Bilingual(zh="改为可写的目录", en="name a folder you may write to"),
        )
    is_new = existing != path
    subject = Bilingual(
        zh=f"数据库：{path}{'（将创建）' if is_new else ''}",
        en=f"database: {path}{' (will be created)' if is_new else ''}",
    )
    return CheckResult(is_ok=True, subject=subject)


def is_writable_folder(path: Path) -> bool:
    """Whether a file can be created there."""
    return path.is_dir() and os.access(path, os.W_OK)


def check_templates(config: Config, *, options: str = "") -> list[CheckResult]:
    """Check every template with every sample, and the texts. options: added to the commands that a result proposes."""
    templates = CardTemplates(config.cards.template_dir)
    own = [name for name in templates.names() if name not in OUR_TEMPLATES]
    results = [_template(templates, name, config, options) for name in OUR_TEMPLATES]
    unused = list_unused_files(config.cards.template_dir)
    results += [
        result
        for name in own
        if not (result := _template(templates, name, config, options)).is_ok or name not in unused
    ]
    results += [_unused(name) for name in unused]
    return [*results, *_texts(templates, config)]


def _texts(templates: CardTemplates, config: Config) -> Iterable[CheckResult]:
    """Name every fault in the company's texts."""
    for fault in templates.texts.faults:
        step = Bilingual(
            zh="请修改；在此之前使用自带文字", en="correct it; until then the shipped text is used"
        )
        yield CheckResult(
            is_ok=False, subject=Bilingual(zh=f"文字 {fault.zh}", en=f"text {fault}"), next_step=step
        )
    for name in own_templates.list_own_texts(config):
        if not any(fault.file == name for fault in templates.texts.faults):
            subject = Bilingual(zh=f"文字 {name}（自定义）", en=f"texts {name} (own)")
            yield CheckResult(is_ok=True, subject=subject)


def _unused(name: str) -> CheckResult:
    hint = suggest_name(name, KNOWN_FILES)
    return CheckResult(
        is_ok=False,
        subject=Bilingual(zh=f"模板 {name} 从未使用{hint.zh}", en=f"template {name} is never used{hint.en}"),
        next_step=Bilingual(
            zh="改成要替换的内置模板的名称，或删除它",
            en="give it the name of the shipped template that it replaces, or remove it",
        ),
    )


def _template(templates: CardTemplates, name: str, config: Config, options: str) -> CheckResult:
    """Render every sample. All problems are reported, each once."""
    samples = list_samples(name)
    found: dict[Bilingual, str] = {}
    for sample_name in samples:
        try:
            with templates.using_texts():
                card = templates.render(name, {"card": make_sample(sample_name, config)})
        except TemplateBroken as error:
            found.setdefault(Bilingual(zh=error.zh, en=str(error)), sample_name)
            continue
        except OSError as error:
            found.setdefault(Bilingual(zh=f"无法读取（“{error}”）", en=str(error)), sample_name)
            continue
        for problem in [] if is_reference(card) else card_problems(card):
            text = Bilingual(
                zh=f"{name}（样例 {sample_name}）：{problem.path}：飞书不会接受"
                f"（“{problem.message}”，规则 {problem.rule}）",
                en=f"{name} (sample {sample_name}): {problem.path}: {problem.message} [{problem.rule}]",
            )
            found.setdefault(text, sample_name)
    if found:
        shown, more = list(found)[:MAX_PROBLEMS], len(found) - MAX_PROBLEMS
        first = f"notifier preview {name} --sample {next(iter(found.values()))}{options}"
        return CheckResult(
            is_ok=False,
            subject=Bilingual(
                zh=f"模板 {'；'.join(each.zh for each in shown)}{f'；还有 {more} 个' if more > 0 else ''}",
                en=f"template {'; '.join(each.en for each in shown)}{f'; and {more} more' if more > 0 else ''}",
            ),
            next_step=Bilingual(
                zh=f"查看：{first}；`notifier lint{options}` 会指出所在行",
                en=f"see it with: {first}; `notifier lint{options}` names the line",
            ),
        )
    file = templates.builder_file(name)
    if file is not None and is_reference(card) and not is_pinned(card):
        return CheckResult(
            is_ok=False,
            subject=Bilingual(
                zh=f"模板 {file} 没有 template_version_name，每次发布都会立即改变所有卡片",
                en=f"template {file}: has no template_version_name; every publication changes cards at once",
            ),
            next_step=Bilingual(zh="写上已测试过的版本", en="add the version that you have tested"),
        )
    source, count = templates.source_of(name), len(samples)
    source_zh = {"own": "自定义", "shipped": "内置"}[source]
    subject = Bilingual(
        zh=f"模板 {file or name}（{source_zh}），{count} 个样例",
        en=f"template {file or name} ({source}), {count} samples",
    )
    return CheckResult(is_ok=True, subject=subject)
