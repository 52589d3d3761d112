"""Checks that ask Feishu: token, scopes, and the bot's place in each group, each with the next step."""

from notifier.clock import SystemClock
from notifier.config.settings import Config, Transport
from notifier.errors import AccountUnknown, CallError, NotAuthorised, RecipientUnreachable
from notifier.feishu.api import FeishuApi
from notifier.feishu.app_queries import bot_is_in
from notifier.feishu.long_connection.discovery import ConnectionRefused, NotNow, discover
from notifier.feishu.messages import FeishuMessageSender
from notifier.feishu.referral_accounts import NO_SUCH_ACCOUNT, ReferralAccounts
from notifier.operations.checks import Finding
from notifier.runtime import factories


async def online(config: Config) -> list[Finding]:
    """Token, scopes, and the bot's place in each group. Stops early where the rest could only fail too."""
    async with FeishuApi(factories.access(config), SystemClock()) as api:
        try:
            await api.token()
        except NotAuthorised as error:
            return [
                Finding(
                    good=False, what=f"token: {error}", step="correct feishu.app_id and feishu.app_secret"
                )
            ]
        except CallError as error:
            return [
                Finding(
                    good=False,
                    what=f"token: {error}",
                    step=f"is {config.feishu.base_url} reachable from this machine (proxy, firewall)?",
                )
            ]
        findings = [Finding(good=True, what=f"token from {config.feishu.base_url}")]
        if config.feishu.transport is Transport.LONG_CONNECTION:
            findings.append(await _long_connection(config))
        findings.append(await _hire_scope(api))
        findings.append(await _send_scope(api))
        if any(digest.file != "never" for digest in config.digests):
            findings.append(await _file_scope(api))
        for name, group in config.groups.items():
            findings.append(await _group(api, name, group.chat_id))
        return findings


PUBLISH = "in the developer console under Permissions, then create and publish an app version"
SCOPE_MISSING = {99991672, 230027, 234002}
BOT_OFF = 230006
BAD_ACCOUNT_ID = 1002002
EMPTY_UPLOAD = {234001, 234010}
BAD_RECIPIENT = {230001, 99992402, 9499}


async def _long_connection(config: Config) -> Finding:
    """Asks for the address of one, without opening it."""
    try:
        await discover(factories.access(config))
    except ConnectionRefused as refused:
        return Finding(good=False, what="long connection: Feishu refuses it", step=str(refused))
    except NotNow as reason:
        step = "is the app a self-built one, and enabled? Then try again"
        return Finding(good=False, what=f"long connection: {reason}", step=step)
    return Finding(good=True, what="long connection")


async def _hire_scope(api: FeishuApi) -> Finding:
    """A look-up of an account that cannot exist: with the scope the answer is that there is no such account."""
    scope = "hire:referral_account:readonly"
    try:
        await ReferralAccounts(api).referrer(NO_SUCH_ACCOUNT)
    except AccountUnknown:
        return Finding(good=True, what=f"scope {scope}")
    except CallError as error:
        if error.code == BAD_ACCOUNT_ID:
            return Finding(good=True, what=f"scope {scope}")
        return _not_good(scope, error)
    return Finding(good=True, what=f"scope {scope}")


async def _send_scope(api: FeishuApi) -> Finding:
    """A send that can only be refused: with the scope it is refused for its recipient."""
    scope = "im:message:send_as_bot"
    body = {"receive_id": "ou_nobody", "msg_type": "text", "content": '{"text":"."}'}
    try:
        await api.call("POST", "/open-apis/im/v1/messages", query={"receive_id_type": "open_id"}, body=body)
    except RecipientUnreachable:
        return Finding(good=True, what=f"scope {scope}, bot ability")
    except CallError as error:
        if error.code in BAD_RECIPIENT:
            return Finding(good=True, what=f"scope {scope}, bot ability")
        if error.code == BOT_OFF:
            return Finding(
                good=False,
                what="the app's bot ability is off",
                step="add the ability Bot, then publish a version",
            )
        return _not_good(scope, error)
    return Finding(good=True, what=f"scope {scope}, bot ability")


async def _file_scope(api: FeishuApi) -> Finding:
    """An upload of nothing: with the scope it is refused for being empty."""
    scope = "im:resource"
    try:
        await FeishuMessageSender(api).upload("check.csv", b"")
    except CallError as error:
        if error.code in EMPTY_UPLOAD:
            return Finding(good=True, what=f"scope {scope}")
        return _not_good(scope, error)
    return Finding(good=True, what=f"scope {scope}")


def _short(error: CallError) -> str:
    """The meaning alone: Feishu's own paragraph and our general step would say the next step twice."""
    return f"{error.reason.partition(';')[0]} (code {error.code})"


def _not_good(scope: str, error: CallError) -> Finding:
    if error.code in SCOPE_MISSING:
        return Finding(good=False, what=f"scope {scope}: {_short(error)}", step=f"add {scope} {PUBLISH}")
    return Finding(good=False, what=f"scope {scope}: could not be asked: {error}", step="try again")


async def _group(api: FeishuApi, name: str, chat_id: str) -> Finding:
    what = f"group {name} ({chat_id})"
    try:
        if await bot_is_in(api, chat_id):
            return Finding(good=True, what=f"{what}: the bot is a member")
    except CallError as error:
        if error.code in SCOPE_MISSING:
            return Finding(
                good=False, what=f"{what}: {_short(error)}", step=f"add im:chat:readonly {PUBLISH}"
            )
        return Finding(
            good=False,
            what=f"{what}: {error}",
            step="compare the chat_id with the one in the group's settings",
        )
    return Finding(good=False, what=f"{what}: the bot is not a member", step="group settings, Bots, Add bot")
