"""Examines the whole set-up, in the order in which a person sets it up, and goes on after a problem where it can."""

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from notifier.clock import DAY_MS, Clock, to_millis
from notifier.config.loader import LoadedConfig
from notifier.config.settings import Config
from notifier.domain.card import Bilingual
from notifier.domain.scopes import BOT_MENU, SCOPES, VERSION_MENU, Feature
from notifier.errors import CallError, NotifierError
from notifier.feishu.api import FeishuApi
from notifier.operations.doctor import history_checks, local_checks, people_checks, subscription_checks
from notifier.operations.doctor.app_checks import APP_IDS, AppFacts, examine_app, examine_published
from notifier.operations.doctor.canary import CANARY, CanaryTest, find_recipient, run_canary
from notifier.operations.doctor.console_menu import Console, join
from notifier.operations.doctor.findings import Finding, Findings, FindingState, blocked, unknown
from notifier.operations.doctor.network_checks import NETWORK_IDS, examine_network
from notifier.operations.doctor.scope_checks import (
    ScopeResults,
    examine_bot,
    examine_scopes,
    list_scope_ids,
    needed_features,
)
from notifier.operations.stored_texts import describe_error
from notifier.runtime import factories
from notifier.runtime.lifecycle import stop_on_signals
from notifier.store import probe
from notifier.store.engine.database import Database
from notifier.store.probe import SetupFacts
from notifier.store.processes import workers
from notifier.store.processes.workers import WorkerRow
from notifier.store.schema.upgrade import LATEST_REVISION


@dataclass(frozen=True, slots=True, kw_only=True)
class Doctor:
    """What an examination needs."""

    loaded: LoadedConfig
    """The configuration, with its sources."""
    clock: Clock
    """The source of the current time."""
    canary: str | None
    """Who gets the test card, as an e-mail address or an open_id; None: nobody."""
    wait_seconds: float
    """How long to wait for the press of the test card."""
    show_progress: Callable[[Bilingual], None]
    """Called before each stage."""
    announce: Callable[[Bilingual], None]
    """Called when the test card was sent: somebody must press its button."""


@dataclass(slots=True, kw_only=True)
class _Stored:
    """What the database holds."""

    database: Database | None = None
    """Open while the examination runs; None: there is none, or it cannot be used."""
    facts: SetupFacts | None = None
    """What it says about the set-up; None: as above."""
    connections: int = 0
    """Long connections of our running processes."""
    is_running: bool = False
    """Whether a notifier runs on the database."""
    live: Sequence[WorkerRow] = ()
    """The processes that run."""


def list_ids(config: Config, *, canary: bool) -> list[str]:
    """Return the ids of all findings, in the order of the list."""
    operators = [f"operators.{name}" for name, group in config.groups.items() if group.operators]
    return [
        *local_checks.LOCAL_IDS,
        *NETWORK_IDS,
        *APP_IDS,
        "app.bot",
        *list_scope_ids(config),
        "long_connection",
        "connections",
        "subscription.event",
        *(["subscription.questions"] if config.answers.enabled else []),
        *(["subscription.callback"] if _needs_callback(config, canary=canary) else []),
        "availability",
        "contact_range",
        "app.published",
        *(f"group.{name}" for name in config.groups),
        *operators,
        "fallback_group",
        *history_checks.HISTORY_IDS,
        *([CANARY] if canary else []),
    ]


def _needs_callback(config: Config, *, canary: bool) -> bool:
    return bool(config.withdrawals.offer_to) or canary


async def examine(doctor: Doctor) -> list[Finding]:
    """Return all findings, in the order of the list."""
    config = doctor.loaded.config
    findings = Findings(list_ids(config, canary=doctor.canary is not None))
    doctor.show_progress(Bilingual(zh="检查本机", en="examining this machine"))
    await asyncio.to_thread(_examine_locally, doctor, findings)
    with _open_stored(doctor, findings) as stored:
        findings.add(
            people_checks.examine_fallback(config),
            history_checks.examine_process(config, stored.live),
            history_checks.examine_last_event(stored.facts),
            history_checks.examine_last_card(stored.facts),
        )
        if not (config.feishu.app_id and config.feishu.app_secret.get_secret_value()):
            findings.block_rest("configuration")
            return findings.in_order()
        doctor.show_progress(Bilingual(zh="检查网络", en="examining the network"))
        findings.add(*await examine_network(config, doctor.clock))
        failed = next((each for each in NETWORK_IDS if each != "clock" and findings.has_problem(each)), None)
        if failed is not None:
            findings.block_rest(failed)
            return findings.in_order()
        async with FeishuApi(factories.make_app_access(config), doctor.clock) as api:
            await _examine_feishu(api, doctor, stored, findings)
    return findings.in_order()


def _examine_locally(doctor: Doctor, findings: Findings) -> None:
    loaded = doctor.loaded
    findings.add(local_checks.examine_version())
    findings.add(*local_checks.examine_configuration(loaded, doctor.clock))
    findings.add(*local_checks.examine_machine(loaded, os.environ))
    findings.add(*local_checks.examine_database(loaded.config.store.url))
    findings.add(*local_checks.examine_disk(loaded))


async def _examine_feishu(api: FeishuApi, doctor: Doctor, stored: _Stored, findings: Findings) -> None:
    config = doctor.loaded.config
    console = Console(config.feishu.base_url, config.feishu.app_id)
    doctor.show_progress(Bilingual(zh="检查应用和权限", en="examining the app and its scopes"))
    app = await examine_app(api, config, console, findings)
    if app is None:
        return
    findings.add(
        await subscription_checks.examine_long_connection(config),
        await subscription_checks.examine_connections(api, stored.connections),
        await history_checks.examine_accounts(api, stored.facts),
    )
    todo = _list_first_steps(config, console, canary=doctor.canary is not None)
    published = examine_published(console, app, [], all_granted=False, todo=todo)
    if published.state is FindingState.PROBLEM:
        findings.add(published)
        findings.block_rest("app.published")
        return
    scopes = await examine_scopes(api, config, console, app)
    findings.add(*scopes.findings, await examine_bot(api, console, scopes))
    all_granted = not scopes.missing and not scopes.ungranted
    findings.add(examine_published(console, app, scopes.ungranted, all_granted=all_granted, todo=todo))
    _examine_subscriptions(config, console, app, stored, findings)
    await _examine_people(api, doctor, console, scopes, stored, findings)


def _list_first_steps(config: Config, console: Console, *, canary: bool) -> Bilingual:
    """Return everything to set before the first version is published."""
    scopes = [SCOPES[feature] for feature in needed_features(config)]
    add_scopes = console.add_scopes(scopes)
    without_publish = Bilingual(
        zh=add_scopes.zh.removesuffix(f"\n{console.publish().zh}"),
        en=add_scopes.en.removesuffix(f"\n{console.publish().en}"),
    )
    ranges = console.describe(
        VERSION_MENU,
        "version",
        zh="可用范围和通讯录权限范围包含所有内推人",
        en="extend the availability range and the contact range to all referrers",
    )
    return join(
        console.describe(BOT_MENU, "bot", zh="添加机器人", en="add the bot"),
        without_publish,
        subscription_checks.subscribe_to_event(console),
        *(
            [subscription_checks.subscribe_to_callback(console)]
            if _needs_callback(config, canary=canary)
            else []
        ),
        ranges,
    )


def _examine_subscriptions(
    config: Config, console: Console, app: AppFacts, stored: _Stored, findings: Findings
) -> None:
    findings.add(subscription_checks.examine_event(console, config, app.subscriptions, stored.facts))
    if config.answers.enabled:
        findings.add(subscription_checks.examine_questions(console, app.subscriptions, stored.facts))
    if "subscription.callback" in findings.expected:
        findings.add(subscription_checks.examine_callback(console, config, app.subscriptions, stored.facts))


async def _examine_people(
    api: FeishuApi,
    doctor: Doctor,
    console: Console,
    scopes: ScopeResults,
    stored: _Stored,
    findings: Findings,
) -> None:
    config = doctor.loaded.config
    doctor.show_progress(Bilingual(zh="检查群和人员", en="examining groups and people"))
    recipient, failure = await _find_recipient(api, doctor)
    operators = await people_checks.resolve_operators(api, config)
    people = [each for open_ids in operators.by_group.values() for each in open_ids]
    people += [recipient] if recipient else []
    codes = await _examine_availability(api, people, console, stored, findings)
    findings.add(await people_checks.examine_contact_range(api, console, codes))
    blocker = _find_group_blocker(scopes, findings)
    for name, group in config.groups.items():
        finding_id = f"group.{name}"
        findings.add(
            blocked(finding_id, blocker)
            if blocker
            else await people_checks.examine_group(api, name, group.chat_id)
        )
    if blocker:
        findings.block((each for each in findings.expected if each.startswith("operators.")), blocker)
    else:
        await people_checks.examine_operators(api, config, operators, codes, findings)
    if doctor.canary is not None:
        result = failure or await _run_canary(api, doctor, recipient, stored, findings)
        findings.add(result)
        if result.state is FindingState.OK:
            findings.replace(subscription_checks.prove_callback())


async def _find_recipient(api: FeishuApi, doctor: Doctor) -> tuple[str | None, Finding | None]:
    if doctor.canary is None:
        return None, None
    try:
        return await find_recipient(api, doctor.canary), None
    except CallError as error:
        return None, unknown(
            CANARY, f"查询邮箱失败：{describe_error(error)}", f"the address cannot be looked up: {error}"
        )


async def _examine_availability(
    api: FeishuApi, open_ids: Sequence[str], console: Console, stored: _Stored, findings: Findings
) -> dict[str, int | None]:
    """Return the code of Feishu's answer about each person that was tried. open_ids: besides the referrers."""
    send = f"scope.{SCOPES[Feature.SEND]}"
    people = dict.fromkeys((*open_ids, *(stored.facts.referrers if stored.facts else ())))
    blocker = next((each for each in (send, "app.bot") if findings.has_problem(each)), None)
    if blocker is None and any(each.id == send and each.needs for each in findings.found):
        blocker = "app.published"
    if blocker is not None:
        findings.add(blocked("availability", blocker))
        return dict.fromkeys(people)
    codes = await people_checks.probe_people(api, people)
    unreachable = stored.facts.unreachable if stored.facts else 0
    findings.add(people_checks.examine_availability(console, codes, unreachable))
    return codes


def _find_group_blocker(scopes: ScopeResults, findings: Findings) -> str | None:
    """Return what prevents calls about groups."""
    if findings.has_problem("app.bot"):
        return "app.bot"
    groups = SCOPES[Feature.GROUPS]
    if groups in scopes.missing:
        return f"scope.{groups}"
    return "app.published" if groups in scopes.ungranted else None


async def _run_canary(
    api: FeishuApi, doctor: Doctor, recipient: str | None, stored: _Stored, findings: Findings
) -> Finding:
    stop = asyncio.Event()
    test = CanaryTest(
        api=api,
        config=doctor.loaded.config,
        address=doctor.canary or "",
        seconds=doctor.wait_seconds,
        database=stored.database if stored.is_running else None,
        stop=stop,
        on_sent=lambda: doctor.announce(
            Bilingual(
                zh="测试卡片已发送，请在飞书中点击按钮",
                en="the test card was sent: press its button in Feishu",
            )
        ),
    )
    with stop_on_signals(stop):
        return await run_canary(test, recipient, findings)


@contextmanager
def _open_stored(doctor: Doctor, findings: Findings) -> Iterator[_Stored]:
    """Open the database if it exists and needs no migration."""
    url = doctor.loaded.config.store.url
    schema = next((each for each in findings.found if each.id == "schema"), None)
    if findings.has_problem("database") or schema is None or not _has_tables(url):
        yield _Stored()
        return
    try:
        database = Database.open(url, must_exist=True)
    except NotifierError:
        yield _Stored()
        return
    try:
        yield _read_stored(database, doctor)
    finally:
        database.close()


def _has_tables(url: str) -> bool:
    file = probe.find_file(url)
    return (file is None or file.exists()) and probe.read_schema(url) == LATEST_REVISION


def _read_stored(database: Database, doctor: Doctor) -> _Stored:
    now = to_millis(doctor.clock.now())
    with database.read() as connection:
        facts = probe.read_setup_facts(
            connection, app_id=doctor.loaded.config.feishu.app_id, since=now - 7 * DAY_MS
        )
        live = workers.list_live(connection, now=now)
    connected = sum(each.connection_state == "connected" for each in live)
    is_running = bool(live) and any(each.is_receiving for each in live)
    return _Stored(database=database, facts=facts, connections=connected, is_running=is_running, live=live)


def count_problems(findings: Sequence[Finding]) -> int:
    """Return the number of problems."""
    return sum(each.state.value == "problem" for each in findings)
