"""Checks of the way of events and presses to this machine: subscriptions, the long connection, other programs."""

from notifier.clock import from_millis
from notifier.config.sections import Transport
from notifier.config.settings import Config
from notifier.domain.answers.question import MENU_CHOSEN, MESSAGE_RECEIVED
from notifier.domain.card import Bilingual
from notifier.domain.event import BALANCE_CHANGED, CARD_CLICKED
from notifier.domain.scopes import CALLBACKS_MENU, EVENTS_MENU
from notifier.feishu.api import FeishuApi
from notifier.feishu.app_queries import count_live_connections
from notifier.feishu.app_status import Subscriptions
from notifier.feishu.long_connection.discovery import ConnectFailed, ConnectionRefused, discover
from notifier.operations.doctor.console_menu import Console, join
from notifier.operations.doctor.findings import Finding, ok, problem, unknown
from notifier.operations.doctor.network_checks import find_direct_way
from notifier.runtime import factories
from notifier.store.probe import SetupFacts

WEBSOCKET = "websocket"


async def examine_long_connection(config: Config) -> Finding:
    """Request the address of the long connection, and try a direct way to it. Does not open it."""
    if config.feishu.transport is not Transport.LONG_CONNECTION:
        where = f"{config.webhook.listen}{config.webhook.path}"
        return ok("long_connection", f"使用 Webhook：{where}", f"webhook is used instead: {where}")
    retry = Bilingual(zh="稍后重试", en="try again later")
    try:
        endpoint = await discover(factories.make_app_access(config))
    except ConnectionRefused as refused:
        step = Bilingual(zh=str(refused), en=str(refused))
        return problem("long_connection", "飞书拒绝长连接", "Feishu refuses the long connection", step)
    except ConnectFailed as failed:
        return problem("long_connection", f"长连接：{failed}", f"long connection: {failed}", retry)
    closed = await find_direct_way(endpoint.url, config.feishu.timeout_seconds)
    if closed is not None:
        step = Bilingual(
            zh="在防火墙放行该地址；长连接不走代理",
            en="open the firewall for this address; the long connection uses no proxy",
        )
        return problem("long_connection", f"长连接地址无法直连：{closed}", f"no direct way to {closed}", step)
    return ok("long_connection", "可以建立长连接", "a long connection is possible")


async def examine_connections(api: FeishuApi, ours: int) -> Finding:
    """Whether another program is connected as the same app. ours: the connections of our processes."""
    count = await count_live_connections(api)
    if count is None:
        return unknown(
            "connections",
            "飞书没有返回连接数，无法判断是否有其他程序连接",
            "Feishu gives no number of connections, so other programs cannot be seen",
        )
    if count <= ours:
        return ok("connections", f"连接数 {count}，均为本服务", f"connections: {count}, all of this service")
    return problem(
        "connections",
        f"另有 {count - ours} 个程序连接了该应用，会随机收走事件",
        f"{count - ours} other programs are connected and receive some of the events",
        Bilingual(
            zh="停止其他程序（例如开发机上的服务）；每个环境使用一个应用",
            en="stop them, such as a service on a developer's machine; use one app per environment",
        ),
    )


def subscribe_to_event(console: Console) -> Bilingual:
    """Return the step that subscribes to the balance event."""
    return console.describe(
        EVENTS_MENU,
        "event",
        zh=f"启动 notifier run，订阅方式选“长连接”，添加事件 {BALANCE_CHANGED}",
        en=f"start `notifier run`, choose the long connection, add the event {BALANCE_CHANGED}",
    )


def subscribe_to_callback(console: Console) -> Bilingual:
    """Return the step that subscribes to the presses of cards."""
    return console.describe(
        CALLBACKS_MENU,
        "event?tab=callback",
        zh=f"启动 notifier run，订阅方式选“长连接”，添加回调 {CARD_CLICKED}",
        en=f"start `notifier run`, choose the long connection, add the callback {CARD_CLICKED}",
    )


def examine_event(
    console: Console, config: Config, subscriptions: Subscriptions | None, facts: SetupFacts | None
) -> Finding:
    """Whether the balance event is subscribed: by what Feishu says, else by what arrived."""
    finding_id, step = "subscription.event", join(subscribe_to_event(console), console.publish())
    if subscriptions is not None and subscriptions.events is not None:
        if BALANCE_CHANGED not in subscriptions.events:
            zh, en = f"未订阅事件 {BALANCE_CHANGED}", f"the event {BALANCE_CHANGED} is not subscribed"
            return problem(finding_id, zh, en, step)
        if _is_other_mode(config, subscriptions.event_mode):
            zh, en = "事件的订阅方式不是长连接", "events are not sent over the long connection"
            return problem(finding_id, zh, en, step)
        return ok(finding_id, f"已订阅事件 {BALANCE_CHANGED}", f"the event {BALANCE_CHANGED} is subscribed")
    if facts is not None and facts.last_balance_event_at is not None:
        missed = facts.last_missed_at
        if missed is None or missed <= facts.last_balance_event_at:
            at = f"{from_millis(facts.last_balance_event_at):%Y-%m-%d %H:%M} UTC"
            return ok(finding_id, f"最近一次余额事件：{at}", f"the last balance event arrived at {at}")
    if facts is not None and facts.last_missed_at is not None:
        zh, en = "余额有变化，但没有收到事件", "balances changed, but no event arrived"
        return problem(finding_id, zh, en, step)
    proof = Bilingual(zh="notifier try reward", en="`notifier try reward`")
    return _see_in_console(finding_id, BALANCE_CHANGED, proof, step)


def examine_questions(
    console: Console, subscriptions: Subscriptions | None, facts: SetupFacts | None
) -> Finding:
    """Whether messages to the bot are subscribed, by what Feishu says or what arrived. It is no problem if not."""
    finding_id = "subscription.questions"
    step = join(
        console.describe(
            EVENTS_MENU,
            "event",
            zh=f"添加事件 {MESSAGE_RECEIVED}；如使用机器人菜单，再添加 {MENU_CHOSEN}。"
            "不需要时设置 answers.enabled: false",
            en=f"add the event {MESSAGE_RECEIVED}, and {MENU_CHOSEN} for the bot's menu; or set answers.enabled: false",
        ),
        console.publish(),
    )
    if subscriptions is not None and subscriptions.events is not None:
        if MESSAGE_RECEIVED in subscriptions.events:
            return ok(
                finding_id, f"已订阅事件 {MESSAGE_RECEIVED}", f"the event {MESSAGE_RECEIVED} is subscribed"
            )
        zh = f"未订阅事件 {MESSAGE_RECEIVED}：不能向机器人提问"
        en = f"the event {MESSAGE_RECEIVED} is not subscribed, so people cannot ask the bot"
        return unknown(finding_id, zh, en, step)
    if facts is not None and facts.last_question_at is not None:
        at = f"{from_millis(facts.last_question_at):%Y-%m-%d %H:%M} UTC"
        return ok(finding_id, f"最近一次提问：{at}", f"the last question arrived at {at}")
    proof = Bilingual(zh="向机器人发送“帮助”", en="the message `help` to the bot")
    return _see_in_console(finding_id, MESSAGE_RECEIVED, proof, step)


def examine_callback(
    console: Console, config: Config, subscriptions: Subscriptions | None, facts: SetupFacts | None
) -> Finding:
    """Whether presses of cards are subscribed: by what Feishu says, else by what arrived."""
    finding_id, step = "subscription.callback", join(subscribe_to_callback(console), console.publish())
    if subscriptions is not None and subscriptions.callbacks is not None:
        if CARD_CLICKED not in subscriptions.callbacks:
            zh, en = f"未订阅回调 {CARD_CLICKED}", f"the callback {CARD_CLICKED} is not subscribed"
            return problem(finding_id, zh, en, step)
        if _is_other_mode(config, subscriptions.callback_mode):
            zh, en = "回调的订阅方式不是长连接", "callbacks are not sent over the long connection"
            return problem(finding_id, zh, en, step)
        return ok(finding_id, f"已订阅回调 {CARD_CLICKED}", f"the callback {CARD_CLICKED} is subscribed")
    if facts is not None and facts.last_click_at is not None:
        at = f"{from_millis(facts.last_click_at):%Y-%m-%d %H:%M} UTC"
        return ok(finding_id, f"最近一次点击：{at}", f"the last press arrived at {at}")
    proof = Bilingual(zh="notifier doctor --canary", en="`notifier doctor --canary`")
    return _see_in_console(finding_id, CARD_CLICKED, proof, step)


def prove_callback() -> Finding:
    """Return the finding after the press of a test card arrived."""
    return ok("subscription.callback", "测试卡片的点击已收到", "the press of the test card arrived")


def _is_other_mode(config: Config, mode: str | None) -> bool:
    return config.feishu.transport is Transport.LONG_CONNECTION and mode not in (None, WEBSOCKET)


def _see_in_console(finding_id: str, name: str, proof: Bilingual, step: Bilingual) -> Finding:
    """Only the console shows it, unless the app may read itself. proof: the command that proves it otherwise."""
    return unknown(
        finding_id,
        f"{name} 的订阅只有开发者后台可见",
        f"only the developer console shows whether {name} is subscribed",
        join(
            Bilingual(
                zh=f"开通 application:application:self_manage 后可自动检查，或用 {proof.zh} 实测",
                en=f"add application:application:self_manage to see it here, or prove it with {proof.en}",
            ),
            step,
        ),
    )
