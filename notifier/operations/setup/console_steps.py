"""The steps in the developer console that follow `notifier init`, with the names of the menus."""

from collections.abc import Sequence

from notifier.domain import scopes
from notifier.domain.answers.question import MENU_CHOSEN, MESSAGE_RECEIVED
from notifier.domain.card import Bilingual
from notifier.domain.scopes import SCOPES, FeatureUse, list_needed_features
from notifier.feishu.api import is_loopback
from notifier.operations.language import localized
from notifier.operations.setup.config_text import HR, SetupChoices

BALANCE_EVENT = "hire.referral_account.assets_update_v1"
CARD_CALLBACK = "card.action.trigger"
LARK_HOST = "larksuite.com"


def list_scopes(choices: SetupChoices) -> list[str]:
    """Return the scopes that these choices need, each once."""
    operators = [each for group in choices.groups.values() for each in group.operators]
    needs_operators = HR in choices.offer_to and not operators  # they are found and added later
    use = FeatureUse(
        has_groups=bool(choices.groups),
        has_operators=bool(operators) or needs_operators,
        finds_people=any("@" in each for each in operators) or needs_operators,
        offers_withdrawals=bool(choices.offer_to),
        answers_questions=True,
        sends_files=False,
        is_test=choices.is_test,
    )
    return [SCOPES[feature] for feature in list_needed_features(use)]


def get_console_address(base_url: str) -> str:
    """Return the address of the developer console; that of the sandbox is on its page."""
    if is_loopback(base_url):
        return base_url
    host = "larksuite.com" if LARK_HOST in base_url else "feishu.cn"
    return f"https://open.{host}/app"


def list_console_steps(choices: SetupChoices) -> list[str]:
    """Return the steps in the console, in their order, in the language of the locale."""
    steps = [
        localized(
            f"Open {get_console_address(choices.base_url)} and choose the app {choices.app_id}.",
            f"打开 {get_console_address(choices.base_url)}，进入应用 {choices.app_id}。",
        ),
        localized(
            f"{_name_menu(scopes.BOT_MENU)}: add the bot.",
            f"{_name_menu(scopes.BOT_MENU)}：添加机器人。",
        ),
        localized(
            f"{_name_menu(scopes.SCOPES_MENU)}: add {', '.join(list_scopes(choices))}.",
            f"{_name_menu(scopes.SCOPES_MENU)}：开通 {'、'.join(list_scopes(choices))}。",
        ),
        localized(
            f"{_name_menu(scopes.SCOPES_MENU)}"
            ": include all referrers in the contacts data range (通讯录权限范围).",
            f"{_name_menu(scopes.SCOPES_MENU)}：通讯录权限范围（contacts data range）包含所有内推人。",
        ),
        _subscription_step(),
    ]
    if choices.offer_to:
        steps.append(_callback_step())
    steps += [
        localized(
            f"Only if the app has an IP allow list: {_name_menu(scopes.SECURITY_MENU)}: add this "
            "machine's public address.",
            f"仅当应用启用了 IP 白名单时：{_name_menu(scopes.SECURITY_MENU)}：添加本机公网地址。",
        ),
        localized(
            f"{_name_menu(scopes.VERSION_MENU)}: create a version (创建版本), include all referrers in the "
            "availability range (可用范围), and publish it (申请发布). An administrator approves it. Nothing above "
            "takes effect before.",
            f"{_name_menu(scopes.VERSION_MENU)}：创建版本，可用范围（Availability）包含所有内推人，"
            "申请发布，由管理员审核通过。发布前以上设置不生效。",
        ),
    ]
    if choices.groups:
        steps.append(
            localized(
                "In Feishu, each group: Settings (设置) › Bots (群机器人) › Add bot (添加机器人).",
                "在飞书的每个群里：设置（Settings）› 群机器人（Bots）› 添加机器人（Add bot）。",
            )
        )
    return steps


def _subscription_step() -> str:
    return localized(
        "Start `notifier run` and keep it running: the console saves the next step only while it is connected. "
        f"{_name_menu(scopes.EVENTS_MENU)}: receive events through persistent "
        f"connection (使用长连接接收事件), then add the event {BALANCE_EVENT}. So that people can ask the bot, add "
        f"{MESSAGE_RECEIVED} and {MENU_CHOSEN} too.",
        "启动 `notifier run` 并保持运行（有客户端在线时后台才允许保存）。"
        f"{_name_menu(scopes.EVENTS_MENU)}：订阅方式选“使用长连接接收事件”（persistent "
        f"connection），再添加事件 {BALANCE_EVENT}。如需让大家向机器人提问，"
        f"再添加 {MESSAGE_RECEIVED} 和 {MENU_CHOSEN}。",
    )


def _callback_step() -> str:
    return localized(
        f"{_name_menu(scopes.CALLBACKS_MENU)}: receive callbacks through persistent "
        f"connection (使用长连接接收回调), then add {CARD_CALLBACK}.",
        f"{_name_menu(scopes.CALLBACKS_MENU)}：订阅方式选“使用长连接接收回调”"
        f"（persistent connection），再添加 {CARD_CALLBACK}。",
    )


def _name_menu(menu: Bilingual) -> str:
    """Return the name of a menu in the language of the locale, with the other name after it."""
    return localized(f"{menu.en} ({menu.zh})", f"{menu.zh}（{menu.en}）")


def list_lark_notes(choices: SetupChoices) -> Sequence[str]:
    """Return what is different in Lark; nothing for Feishu."""
    if LARK_HOST not in choices.base_url:
        return ()
    return (
        localized(
            "Lark: we found no page of Feishu Hire's referral accounts there. Ask Lark's support whether your tenant "
            "has them.",
            "Lark：没有找到飞书招聘内推账户的文档，请向 Lark 客服确认你的租户是否支持。",
        ),
        localized(
            "Lark: its documentation names only the webhook for clicks on cards. If the console offers no persistent "
            "connection for callbacks, set feishu.transport: webhook.",
            "Lark：文档只提到用 webhook 接收卡片点击。如果后台不能为回调选择长连接，请设置 feishu.transport: webhook。",
        ),
    )


def list_commands(choices: SetupChoices) -> list[tuple[str, str]]:
    """Return the commands that come next, each with its purpose."""
    commands = [
        (
            "notifier run",
            localized(
                "receives events and sends cards; restart it if it runs: the configuration is read at the start",
                "接收事件、发送卡片；如已在运行请重启（配置在启动时读取）",
            ),
        ),
        (
            "notifier doctor",
            localized("checks all of it, and names what is missing", "逐项检查，指出还缺什么"),
        ),
        (
            "notifier accounts import people.csv",
            localized(
                "registers the referrers: Feishu sends events for them alone",
                "注册内推人：飞书只推送他们的事件",
            ),
        ),
    ]
    if choices.is_test:
        commands.append(
            (
                "notifier try reward --account ID --talent ID",
                localized("adds a reward for a test", "添加一笔测试奖励"),
            )
        )
    if HR in choices.offer_to and not choices.groups[HR].operators:
        commands.append(
            (
                "notifier people find --email ...",
                localized(
                    "finds the open_id of an operator: without one, nobody in the group may withdraw",
                    "查询授权人员的 open_id：没有授权人员时，群里没有人能提现",
                ),
            )
        )
    return commands
