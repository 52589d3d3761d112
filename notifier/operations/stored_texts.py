"""Chinese for what the database holds in English: states, actions, reasons and outcomes. JSON and logs stay English."""

import re
from collections.abc import Callable, Mapping

from notifier.domain.card import Bilingual
from notifier.domain.failure_reasons import find_failure_reason
from notifier.errors import CallError
from notifier.operations.language import localized

DELIVERY_STATES = {
    "waiting": "等待收件人",
    "held": "暂缓",
    "ready": "待发送",
    "sending": "发送中",
    "sent": "已发送",
    "unknown": "结果不明",
    "rerouted": "已改发",
    "dead": "发送失败",
    "dropped": "已放弃",
}
HOLD_REASONS = {
    "quiet_hours": Bilingual(zh="免打扰", en="quiet hours"),
    "daily": Bilingual(zh="每日汇总", en="daily digest"),
    "weekly": Bilingual(zh="每周汇总", en="weekly digest"),
}
"""Why a delivery is held."""
EVENT_STATES = {"new": "待处理", "done": "已处理", "ignored": "已忽略", "quarantined": "已隔离"}
WITHDRAWAL_STATES = {
    "requested": "处理中",
    "withdrawn": "已提现",
    "amount_changed": "金额已变",
    "nothing": "无可提现",
    "refused": "被拒绝",
    "ended": "已结束",
}
PAYOUT_STATES = {
    "unconfirmed": "待确认",
    "pending": "待提交",
    "submitting": "提交中",
    "sent": "已提交",
    "paid": "已付款",
    "failed": "付款失败",
    "dead": "提交失败",
    "unknown": "结果不明",
}
ACTIONS = {
    "click": "点击",
    "denied": "拒绝",
    "batch": "批量提现",
    "order": "发起提现",
    "answer": "飞书应答",
    "payout": "付款",
    "manual": "人工操作",
    "account": "账户",
    "operators": "授权人员",
    "settings": "通知设置",
    "test": "测试卡片",
}
_ACTORS = {"feishu": "飞书", "notifier": "服务", "payroll": "薪酬系统", "command line": "命令行"}
_ROLES = {"referrer": "内推人", "operator": "授权人员"}
_KINDS = {"points": "积分", "cash": "现金"}
_VARIANTS = {"full": "完整", "no_media": "无图", "compact": "简版", "text": "纯文本"}

_RESULTS = {
    "begin": "开始提现",
    "begun": "开始批量提现",
    "busy": "正在提现中",
    "stale": "余额已变，需重新确认",
    "changed": "余额已变",
    "done": "之后已提现",
    "empty": "没有可提现的余额",
    "choose": "尚未选择账户",
    "nobody": "回调中没有操作人",
    "unknown_button": "未知的按钮",
    "foreign": "操作人属于其他企业或应用",
    "unconfirmed": "飞书尚未确认卡片",
    "other_message": "被转发的卡片",
    "expired": "卡片已过期",
    "referrer_unknown": "内推人未知",
    "not_yours": "既不是内推人，也不是授权人员",
    "not_allowed": "不再是授权人员",
    "deactivated": "账户已停用",
    "enabled": "已启用",
    "denied": "未获授权",
    "exported": "已导出",
}
"""Outcomes of presses and of commands."""
_TEXTS = {
    "to be retried now": "立即重试",
    "to be submitted again": "将重新提交",
    "ended: nothing was withdrawn": "已结束：没有提现",
    "ended by an operator: nothing was withdrawn": "由人工结束：没有提现",
    "ended by an operator: the agreed amounts were withdrawn": "由人工结束：已按约定金额提现",
    "ignored by an operator": "由人工忽略",
    "no clear answer for hours": "数小时没有明确答复",
    "nothing to withdraw": "没有可提现的余额",
    "the account belongs to another referrer": "账户属于另一位内推人",
    "Feishu booked the order without amounts, and the balance is still there": (
        "飞书受理了订单但没有返回金额，余额仍在"
    ),
    "Feishu booked the order without all amounts, and the balance is gone": (
        "飞书受理了订单但没有返回全部金额，余额已不在"
    ),
    "no call had an answer, and a balance report shows the withdrawal": "调用都没有答复，但余额变动显示已提现",
    "the outcome of a call is not known, and Feishu holds another balance than the agreed one": (
        "一次调用的结果不明，且飞书的余额与约定金额不同"
    ),
    "outcome unknown: Feishu no longer deduplicates this call, so it is not repeated": (
        "结果不明：飞书已不再对该请求去重，因此不再重发"
    ),
    "not an event: no JSON object with a header": "不是事件：没有带 header 的 JSON 对象",
    "this message is no card": "该消息不是卡片",
}


def _amounts_zh(text: str) -> str:
    return re.sub(r"\bpoints\b", "积分", "无" if text == "nothing" else text)


_PATTERNS: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (
        r"requested as (\w+): (.+?)(?:, batch (\w+))?",
        lambda m: (
            f"以{_ROLES.get(m[1], m[1])}身份发起：{_amounts_zh(m[2])}{f'，批次 {m[3]}' if m[3] else ''}"
        ),
    ),
    (r"batch (\w+) begun: (\w+), (\d+) accounts", lambda m: f"批次 {m[1]} 开始：{m[2]}，{m[3]} 个账户"),
    (r"skipped: (\w+)", lambda m: f"跳过：{_RESULTS.get(m[1], m[1])}"),
    (r"ended: (.+) were withdrawn", lambda m: f"已结束：已提现 {_amounts_zh(m[1])}"),
    (r"amounts confirmed: (.+)", lambda m: f"已确认金额：{_amounts_zh(m[1])}"),
    (
        r"agreed to (.+), but Feishu holds (.+)",
        lambda m: f"约定 {_amounts_zh(m[1])}，但飞书余额为 {_amounts_zh(m[2])}",
    ),
    (r"submitted \(HTTP (\d+)\)", lambda m: f"已提交（HTTP {m[1]}）"),
    (
        r"given up, the outcome is not known: (.+)",
        lambda m: f"不再重试，结果不明：{translate_stored(m[1])}",
    ),
    (r"given up: (.+)", lambda m: f"不再重试：{translate_stored(m[1])}"),
    (r"late: withdrawn and still (\w+)", lambda m: f"逾期：已提现，仍为{PAYOUT_STATES.get(m[1], m[1])}"),
    (r"not known yet: (.+)", lambda m: f"结果尚不明：{translate_stored(m[1])}"),
    (
        r"operators of group (\S+) by e-mail address: (.*)",
        lambda m: f"群 {m[1]} 中用邮箱填写的授权人员：{m[2]}",
    ),
    (r"ignored \((\w+)\): (.+)", lambda m: f"已忽略（{m[1]}）：{translate_stored(m[2])}"),
    (
        r"(paid|failed)(?:, reference (.+))?",
        lambda m: f"{PAYOUT_STATES[m[1]]}{f'，流水号 {m[2]}' if m[2] else ''}",
    ),
    (
        r"(withdrawn|amount_changed|nothing|refused|ended)(?:: (.+))?",
        lambda m: f"{WITHDRAWAL_STATES[m[1]]}{f'：{translate_stored(m[2])}' if m[2] else ''}",
    ),
    (r"nothing is done with (\S+)", lambda m: f"不处理 {m[1]}"),
    (r"internal error: (.+)", lambda m: f"内部错误（“{m[1]}”）"),
    (r"no card could be made: (.+)", lambda m: f"无法生成卡片（“{m[1]}”）"),
)
_IDENTIFIER = re.compile(r"[\w.:-]*")


def name_state(state: str, names: Mapping[str, str]) -> str:
    """Return a state for a text. In Chinese, the name that options use follows."""
    return localized(state, f"{names[state]}（{state}）" if state in names else state)


def name_action(action: str) -> str:
    """Return the kind of an audited action."""
    return localized(action, ACTIONS.get(action, action))


def name_actor(actor: str | None) -> str:
    """Return who acted: an open_id, or a part of the system; "-" for nobody."""
    return localized(actor or "-", _ACTORS.get(actor or "", actor or "-"))


def name_role(role: str) -> str:
    """Return the role in which a person acts."""
    return localized(role, _ROLES.get(role, role))


def name_kind(kind: str) -> str:
    """Return the kind of an asset."""
    return localized(kind, _KINDS.get(kind, kind))


def name_variant(variant: str) -> str:
    """Return the variant of a card."""
    return localized(variant, _VARIANTS.get(variant, variant))


def show_stored(text: str | None, code: int | None = None) -> str:
    """Return a stored reason or outcome for a text, in the language of the locale; "" for None.

    code: Feishu's error code, whose reason is known in Chinese. What has no Chinese text stays verbatim, in quotes.
    """
    return localized(text, translate_stored(text, code)) if text else ""


def describe_error(error: CallError) -> str:
    """Return the Chinese text of a failed call: the reason of its code, and the English message in quotes."""
    return translate_stored(str(error), error.code)


def translate_stored(text: str, code: int | None = None) -> str:
    """Return the Chinese text. See show_stored."""
    known = _TEXTS.get(text) or _RESULTS.get(text)
    if known:
        return known
    for pattern, write in _PATTERNS:
        if found := re.fullmatch(pattern, text):
            return write(found)
    if reason := find_failure_reason(code):
        return f"{reason.zh}（“{text}”）"
    return text if _IDENTIFIER.fullmatch(text) else f"“{text}”"
