"""Checks of the app as a whole: its token, whether it may call, whether it is enabled and published."""

from dataclasses import dataclass, field

from notifier.config.settings import Config
from notifier.domain.card import Bilingual
from notifier.domain.scopes import CREDENTIALS_MENU, SECURITY_MENU
from notifier.errors import AppSuspended, CallError, NotAuthorised
from notifier.feishu.api import FeishuApi
from notifier.feishu.app_status import (
    Activation,
    Subscriptions,
    list_granted_scopes,
    read_activation,
    read_subscriptions,
)
from notifier.feishu.long_connection.discovery import ConnectFailed, ConnectionRefused, discover
from notifier.operations.doctor.console_menu import Console
from notifier.operations.doctor.findings import Finding, Findings, blocked, ok, problem, unknown
from notifier.operations.stored_texts import describe_error
from notifier.runtime import factories

APP_IDS = ("token", "ip_allow_list", "app.enabled")
IP_NOT_ALLOWED = 99991401
DISABLED_OR_WRONG_SECRET = 10014
FORBIDDEN = 403
NOT_PUBLISHED = (Activation.NOT_INSTALLED, Activation.NOT_YET_ENABLED, Activation.UPGRADE_NOT_ENABLED)


@dataclass(slots=True, kw_only=True)
class AppFacts:
    """What Feishu says about the app, for the later checks."""

    activation: Activation | None = None
    """Its status in the tenant; None: not known."""
    scopes: dict[str, bool] = field(default_factory=dict)
    """Whether each scope that the app asked for is granted; empty: not known."""
    subscriptions: Subscriptions | None = None
    """What it subscribes to; None: not known."""


async def examine_app(
    api: FeishuApi, config: Config, console: Console, findings: Findings
) -> AppFacts | None:
    """Check token, IP allow-list and status. Return None if no other call can succeed."""
    try:
        await api.token()
        findings.add(ok("token", "App ID 和 App Secret 有效", "app id and secret are valid"))
        facts = AppFacts(activation=await read_activation(api))
    except (NotAuthorised, AppSuspended) as error:
        findings.add(await _explain_refusal(error, config, console))
        findings.block_rest(
            next(each.id for each in findings.found if findings.has_problem(each.id) and each.id in APP_IDS)
        )
        return None
    except CallError as error:
        if not findings.has("token"):
            findings.add(_explain_failure("token", error))
            findings.block_rest("token")
            return None
        facts = AppFacts()
    findings.add(ok("ip_allow_list", "飞书接受本机 IP", "Feishu accepts the address of this machine"))
    if facts.activation in (Activation.DISABLED, Activation.LICENCE_EXPIRED, Activation.PLAN_EXPIRED):
        findings.add(explain_disabled())
        findings.block_rest("app.enabled")
        return None
    findings.add(ok("app.enabled", "应用未被停用", "the app is not disabled"))
    await _read_more(api, config, facts)
    return facts


async def _read_more(api: FeishuApi, config: Config, facts: AppFacts) -> None:
    """Both calls are optional: what they do not say is probed by other calls, or stays unknown."""
    try:
        facts.scopes = dict(await list_granted_scopes(api))
    except CallError:
        facts.scopes = {}
    try:
        facts.subscriptions = await read_subscriptions(api, config.feishu.app_id)
    except CallError:
        facts.subscriptions = None


async def _explain_refusal(error: CallError, config: Config, console: Console) -> Finding:
    if error.code == IP_NOT_ALLOWED:
        zh, en = "本机 IP 不在白名单内（99991401）", "the address of this machine is not allowed (99991401)"
        step = console.describe(
            SECURITY_MENU, "safe", zh="加入本机的出口 IP", en="add the public address of this machine"
        )
        return problem("ip_allow_list", zh, en, step)
    if isinstance(error, AppSuspended):
        return explain_disabled(error)
    if error.code == DISABLED_OR_WRONG_SECRET and await _is_forbidden(config):
        return explain_disabled(error)
    zh, en = f"App ID 或 App Secret 错误（{error.code}）", f"app id or app secret is wrong ({error.code})"
    step = console.describe(
        CREDENTIALS_MENU,
        "baseinfo",
        zh="复制 App ID 和 App Secret 到 feishu.app_id、feishu.app_secret（FEISHU_APP_ID、FEISHU_APP_SECRET）",
        en="copy app id and app secret to feishu.app_id and feishu.app_secret (FEISHU_APP_ID, FEISHU_APP_SECRET)",
    )
    return problem("token", zh, en, step)


async def _is_forbidden(config: Config) -> bool:
    """Code 10014 means a disabled app or a wrong secret. The address of the long connection separates the two."""
    try:
        await discover(factories.make_app_access(config))
    except ConnectionRefused as refused:
        return refused.code == FORBIDDEN
    except ConnectFailed:
        return False
    return True


def explain_disabled(error: CallError | None = None) -> Finding:
    """Return the finding for an app that the administrator must enable."""
    code = f" ({error.code})" if error is not None else ""
    return problem(
        "app.enabled",
        f"应用已在企业内停用{code}",
        f"the app is disabled in this organisation{code}",
        Bilingual(
            zh="请企业管理员在飞书管理后台 › 工作台 › 应用管理中启用该应用",
            en="ask the administrator to enable it: Feishu Admin › Workplace › App Management",
        ),
    )


def _explain_failure(finding_id: str, error: CallError) -> Finding:
    return problem(
        finding_id,
        f"获取令牌失败：{describe_error(error)}",
        f"no token: {error}",
        Bilingual(
            zh="稍后重试；如持续失败，检查网络和代理", en="try again; if it goes on, check network and proxy"
        ),
    )


def examine_published(
    console: Console,
    facts: AppFacts,
    ungranted: list[str],
    *,
    all_granted: bool,
    todo: Bilingual,
) -> Finding:
    """Whether the settings of the console are in force.

    ungranted: scopes that were added and are not in force. all_granted: whether every needed scope works. todo: the
    steps before the first version.
    """
    publish = console.publish()
    if facts.activation in NOT_PUBLISHED:
        zh, en = "应用还没有已发布的版本", "no version of the app is published"
        steps = Bilingual(zh=f"{todo.zh}；{publish.zh}", en=f"{todo.en}; {publish.en}")
        return problem("app.published", zh, en, steps)
    if ungranted:
        names = ", ".join(ungranted)
        return problem(
            "app.published", f"已添加但未生效：{names}", f"added, but not in force: {names}", publish
        )
    if facts.subscriptions is not None and facts.subscriptions.has_waiting_version:
        zh, en = "有版本等待管理员审批", "a version waits for the administrator's approval"
        return unknown(
            "app.published", zh, en, Bilingual(zh="请管理员审批", en="ask the administrator to approve it")
        )
    if all_granted or facts.activation is Activation.ENABLED:
        return ok("app.published", "应用版本已发布", "a version of the app is published")
    return unknown(
        "app.published", "无法判断版本是否已发布", "it is not known whether a version is published", publish
    )


def block_unpublished(finding_id: str) -> Finding:
    """Return the finding for a setting that waits for a published version."""
    return blocked(finding_id, "app.published")
