"""Online checks: call Feishu to check the token, the scopes, and the bot's membership in each group."""

from notifier.clock import Clock
from notifier.config.sections import Transport
from notifier.config.settings import Config
from notifier.errors import AccountUnknown, CallError, NotAuthorised, RecipientUnreachable
from notifier.feishu.api import FeishuApi
from notifier.feishu.app_queries import bot_is_in
from notifier.feishu.long_connection.discovery import ConnectFailed, ConnectionRefused, discover
from notifier.feishu.messages import FeishuMessageSender
from notifier.feishu.referral_accounts import NONEXISTENT_ACCOUNT_ID, FeishuReferralAccounts
from notifier.operations.checks import CheckResult
from notifier.runtime import factories


async def check_online(config: Config, clock: Clock) -> list[CheckResult]:
    """Check the token, the scopes and the groups. Stops after the token if the token call fails."""
    async with FeishuApi(factories.make_app_access(config), clock) as api:
        try:
            await api.token()
        except NotAuthorised as error:
            return [
                CheckResult(
                    is_ok=False,
                    subject=f"token: {error}",
                    next_step="correct feishu.app_id and feishu.app_secret",
                )
            ]
        except CallError as error:
            return [
                CheckResult(
                    is_ok=False,
                    subject=f"token: {error}",
                    next_step=f"is {config.feishu.base_url} reachable from this machine (proxy, firewall)?",
                )
            ]
        results = [CheckResult(is_ok=True, subject=f"token from {config.feishu.base_url}")]
        if config.feishu.transport is Transport.LONG_CONNECTION:
            results.append(await _long_connection(config))
        results.append(await _hire_scope(api))
        results.append(await _send_scope(api))
        if any(digest.file != "never" for digest in config.digests):
            results.append(await _file_scope(api))
        for name, group in config.groups.items():
            results.append(await _group(api, name, group.chat_id))
        return results


PUBLISH = "in the developer console under Permissions, then create and publish an app version"
SCOPE_MISSING = {99991672, 230027, 234002}
BOT_OFF = 230006
BAD_ACCOUNT_ID = 1002002
EMPTY_UPLOAD = {234001, 234010}
BAD_RECIPIENT = {230001, 99992402, 9499}


async def _long_connection(config: Config) -> CheckResult:
    """Request the address of a long connection. Does not open it."""
    try:
        await discover(factories.make_app_access(config))
    except ConnectionRefused as refused:
        return CheckResult(is_ok=False, subject="long connection: Feishu refuses it", next_step=str(refused))
    except ConnectFailed as reason:
        next_step = "is the app a self-built one, and enabled? Then try again"
        return CheckResult(is_ok=False, subject=f"long connection: {reason}", next_step=next_step)
    return CheckResult(is_ok=True, subject="long connection")


async def _hire_scope(api: FeishuApi) -> CheckResult:
    """Look up an account that cannot exist. With the scope, Feishu answers that it is unknown."""
    scope = "hire:referral_account:readonly"
    try:
        await FeishuReferralAccounts(api).referrer(NONEXISTENT_ACCOUNT_ID)
    except AccountUnknown:
        return CheckResult(is_ok=True, subject=f"scope {scope}")
    except CallError as error:
        if error.code == BAD_ACCOUNT_ID:
            return CheckResult(is_ok=True, subject=f"scope {scope}")
        return _failed_scope(scope, error)
    return CheckResult(is_ok=True, subject=f"scope {scope}")


async def _send_scope(api: FeishuApi) -> CheckResult:
    """Send to a recipient that cannot exist. With the scope, Feishu rejects the recipient."""
    scope = "im:message:send_as_bot"
    body = {"receive_id": "ou_nobody", "msg_type": "text", "content": '{"text":"."}'}
    try:
        await api.call("POST", "/open-apis/im/v1/messages", query={"receive_id_type": "open_id"}, body=body)
    except RecipientUnreachable:
        return CheckResult(is_ok=True, subject=f"scope {scope}, bot ability")
    except CallError as error:
        if error.code in BAD_RECIPIENT:
            return CheckResult(is_ok=True, subject=f"scope {scope}, bot ability")
        if error.code == BOT_OFF:
            return CheckResult(
                is_ok=False,
                subject="the app's bot ability is off",
                next_step="add the ability Bot, then publish a version",
            )
        return _failed_scope(scope, error)
    return CheckResult(is_ok=True, subject=f"scope {scope}, bot ability")


async def _file_scope(api: FeishuApi) -> CheckResult:
    """Upload an empty file. With the scope, Feishu rejects it because it is empty."""
    scope = "im:resource"
    try:
        await FeishuMessageSender(api).upload("check.csv", b"")
    except CallError as error:
        if error.code in EMPTY_UPLOAD:
            return CheckResult(is_ok=True, subject=f"scope {scope}")
        return _failed_scope(scope, error)
    return CheckResult(is_ok=True, subject=f"scope {scope}")


def _short(error: CallError) -> str:
    """Return the reason without its next step, because the check adds a more exact one."""
    return f"{error.reason.partition(';')[0]} (code {error.code})"


def _failed_scope(scope: str, error: CallError) -> CheckResult:
    if error.code in SCOPE_MISSING:
        return CheckResult(
            is_ok=False, subject=f"scope {scope}: {_short(error)}", next_step=f"add {scope} {PUBLISH}"
        )
    return CheckResult(
        is_ok=False, subject=f"scope {scope}: could not be checked: {error}", next_step="try again"
    )


async def _group(api: FeishuApi, name: str, chat_id: str) -> CheckResult:
    subject = f"group {name} ({chat_id})"
    try:
        if await bot_is_in(api, chat_id):
            return CheckResult(is_ok=True, subject=f"{subject}: the bot is a member")
    except CallError as error:
        if error.code in SCOPE_MISSING:
            return CheckResult(
                is_ok=False,
                subject=f"{subject}: {_short(error)}",
                next_step=f"add im:chat:readonly {PUBLISH}",
            )
        return CheckResult(
            is_ok=False,
            subject=f"{subject}: {error}",
            next_step="compare the chat_id with the one in the group's settings",
        )
    return CheckResult(
        is_ok=False, subject=f"{subject}: the bot is not a member", next_step="group settings, Bots, Add bot"
    )
