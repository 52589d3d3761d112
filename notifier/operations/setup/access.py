"""Checks credentials with Feishu and lists the groups of the bot, before there is a configuration."""

from dataclasses import dataclass, field

from notifier.clock import SystemClock
from notifier.errors import CallError, NotAuthorised
from notifier.feishu.api import AppAccess, FeishuApi
from notifier.feishu.app_queries import BotChat, list_chats
from notifier.operations.language import localized
from notifier.operations.stored_texts import describe_error

WRONG_SECRET = 10015


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessResult:
    """What Feishu said to the credentials."""

    is_refused: bool = False
    """Whether Feishu rejects the app id or the secret."""
    is_secret_wrong: bool = False
    """Whether Feishu knows the app id, and rejects the secret."""
    problem: str = ""
    """Why there is no token, with the code; "" if there is one."""
    chats: list[BotChat] = field(default_factory=list)
    """The groups that the bot is a member of."""
    chats_problem: str = ""
    """Why the groups cannot be listed; "" if they can."""


async def check_access(access: AppAccess) -> AccessResult:
    """Request a token and list the bot's groups."""
    async with FeishuApi(access, SystemClock()) as api:
        try:
            await api.token()
        except CallError as error:
            return AccessResult(
                is_refused=isinstance(error, NotAuthorised),
                is_secret_wrong=error.code == WRONG_SECRET,
                problem=_describe_token_problem(error, access),
            )
        try:
            chats = await list_chats(api)
        except CallError as error:
            return AccessResult(chats_problem=_describe_chats_problem(error))
        return AccessResult(chats=chats)


def _describe_token_problem(error: CallError, access: AppAccess) -> str:
    code = error.code
    match code:
        case 10003:
            return localized(
                "Feishu does not know this app id (code 10003). Compare it with the page Credentials & Basic Info. "
                "Is the app in Feishu or in Lark?",
                "飞书没有这个 App ID（错误码 10003）。请与“凭证与基础信息”页核对，并确认应用在飞书还是 Lark。",
            )
        case 10014:
            return localized(
                "The secret is wrong, or the app is disabled (code 10014).",
                "App Secret 不对，或应用已停用（错误码 10014）。",
            )
        case value if value == WRONG_SECRET:
            return localized("The app secret is wrong (code 10015).", "App Secret 不对（错误码 10015）。")
        case 99991401:
            return localized(
                "This machine's address is not in the app's IP allow list (code 99991401). Add it under Security.",
                "本机地址不在应用的 IP 白名单中（错误码 99991401）。请在“安全设置”中添加。",
            )
        case None:
            return localized(
                f"{access.base_url} cannot be reached: {error.reason}.",
                f"无法连接 {access.base_url}（“{error.reason}”）。",
            )
    return localized(f"Feishu gave no token: {error}.", f"飞书没有返回访问凭证：{describe_error(error)}。")


def _describe_chats_problem(error: CallError) -> str:
    if error.code == 99991672:
        return localized(
            "the scope im:chat:readonly is missing, or no version with it is published (code 99991672)",
            "缺少权限 im:chat:readonly，或含该权限的版本尚未发布（错误码 99991672）",
        )
    return str(error)
