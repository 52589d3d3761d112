"""The texts of the accounts commands: why a row failed, why a run stopped, and what to do."""

from notifier.domain.card import Bilingual
from notifier.domain.scopes import SCOPES, SCOPES_MENU, Feature, get_scope_name
from notifier.errors import AppSuspended, CallError, NotAuthorised
from notifier.operations.stored_texts import describe_error

SCOPE_MISSING = 99991672
NO_SUCH_PERSON = 1002551
SEVERAL_PEOPLE = 1002552

_PUBLISH = Bilingual(
    zh=f"在开发者后台“{SCOPES_MENU.zh}”中开通，然后创建版本并发布",
    en=f"add it in the developer console under {SCOPES_MENU.en}, then create and publish an app version",
)

AGAIN = Bilingual(zh="重新运行同一命令即可继续", en="Run the same command again to continue")
NOT_TRIED = Bilingual(
    zh="本次没有处理到：重新运行同一命令", en="this run stopped before it: run the same command again"
)
INTERRUPTED = Bilingual(zh="已中断", en="interrupted")
UNKNOWN = Bilingual(
    zh="飞书没有明确答复，可能已登记：重新运行同一命令，不会重复登记",
    en="Feishu gave no clear answer and may have registered the person: run the same command again, which does not "
    "register anybody twice",
)
DEACTIVATED = Bilingual(
    zh="账户已停用，不会收到通知：运行 notifier accounts enable 启用",
    en="the account is deactivated, so no event comes: run `notifier accounts enable` with its id",
)
TWO_PEOPLE = Bilingual(
    zh="邮箱和手机号属于两个人：核对后改正，或只留一个",
    en="the e-mail address and the mobile number belong to two people: correct them, or leave one out",
)
REPEATED = Bilingual(
    zh="飞书拒绝再次登记，此人可能已有账户：该账户的第一个事件到达后会自动记录账户 ID",
    en="Feishu refuses to register this person again, who may have an account already: its id becomes known with its "
    "first event",
)
_REFUSALS = {
    NO_SUCH_PERSON: Bilingual(
        zh="飞书查不到此人：核对邮箱或手机号是否为其在飞书登记的，并确认在职",
        en="Feishu knows nobody with this e-mail address or mobile number: check that it is the one registered in "
        "Feishu, and that the person has not left",
    ),
    SEVERAL_PEOPLE: Bilingual(
        zh="邮箱或手机号对应多个人：改用另一种联系方式",
        en="the e-mail address or mobile number belongs to more than one person: use the other one",
    ),
}


def same_as(row: int) -> Bilingual:
    """The text for a row with the person of an earlier row."""
    return Bilingual(zh=f"与第 {row} 行相同", en=f"same as row {row}")


def scope_missing(scope: str) -> Bilingual:
    """The text for a missing scope, with its name in the developer console."""
    name = get_scope_name(scope)
    return Bilingual(
        zh=f"缺少权限 {scope}（{name.zh}）：{_PUBLISH.zh}",
        en=f"the scope {scope} ({name.en}) is missing: {_PUBLISH.en}",
    )


def refusal(error: CallError) -> Bilingual:
    """The text for a refusal of one person. Feishu's own message is left out: it may repeat the contact data."""
    known = _REFUSALS.get(error.code or 0)
    if known is not None:
        return known
    detail = _code(error)
    return Bilingual(
        zh=f"飞书拒绝了请求（{detail}）：核对后重试，或把这些编号发给飞书支持",
        en=f"Feishu refused the request ({detail}): check the row and try again, or give these numbers to Feishu's "
        "support",
    )


def stop_reason(error: CallError) -> Bilingual:
    """The text for a failure that concerns all calls."""
    if error.code == SCOPE_MISSING:
        return scope_missing(SCOPES[Feature.REGISTER])
    if isinstance(error, NotAuthorised | AppSuspended):
        return Bilingual(zh=f"飞书拒绝本应用：{describe_error(error)}", en=f"Feishu refuses the app: {error}")
    return Bilingual(
        zh=f"无法访问飞书（{_code(error)}）：检查网络和代理",
        en=f"Feishu cannot be reached ({_code(error)}): check the network and the proxy",
    )


def _code(error: CallError) -> str:
    log_id = f", log id {error.log_id}" if error.log_id else ""
    return f"code {error.code}{log_id}" if error.code is not None else f"no code{log_id}"
