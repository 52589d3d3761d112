"""Lists and shows the known accounts."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Connection

from notifier.clock import Clock, to_millis
from notifier.domain.card import Bilingual
from notifier.domain.contact_data import one_line
from notifier.domain.money import describe_amounts
from notifier.domain.preferences.choices import Preferences, write_minute
from notifier.operations.formatting import format_ago, format_amounts, format_iso, format_table, pad
from notifier.operations.language import Language, get_language, localized, say
from notifier.operations.stored_texts import name_actor, show_stored
from notifier.store import audit
from notifier.store.engine.database import Database
from notifier.store.people import account_list, preferences
from notifier.store.people.account_list import AccountListState, ListedAccount

STATE_TEXTS = {
    AccountListState.ACTIVE: Bilingual(zh="启用", en="active"),
    AccountListState.DEACTIVATED: Bilingual(zh="停用", en="deactivated"),
    AccountListState.UNKNOWN: Bilingual(zh="未知", en="unknown"),
}
FREQUENCY_TEXTS = {
    "instant": Bilingual(zh="立即", en="instant"),
    "daily": Bilingual(zh="每日汇总", en="daily"),
    "weekly": Bilingual(zh="每周汇总", en="weekly"),
}
LANGUAGE_TEXTS = {
    "feishu": Bilingual(zh="跟随飞书", en="as Feishu"),
    "zh": Bilingual(zh="中文", en="Chinese"),
    "en": Bilingual(zh="英文", en="English"),
}
_HEADS = {
    Language.EN: ("account", "state", "referrer", "balance", "last event"),
    Language.ZH: ("账户", "状态", "内推人", "余额", "最近事件"),
}
_LABELS_ZH = {
    "account_id": "账户",
    "state": "状态",
    "referrer": "内推人",
    "name_zh": "中文名",
    "name_en": "英文名",
    "balance": "余额",
    "last_event_at": "最近事件",
    "confirmed_at": "最近核对",
    "notices": "通知",
    "quiet_hours": "免打扰",
    "time_zone": "时区",
    "language": "卡片语言",
    "held": "暂缓",
}
"""Chinese labels of `accounts show`. The English ones are the names in JSON."""
_SHOWN_AUDIT_ENTRIES = 20


def list_accounts(
    database: Database, clock: Clock, app_id: str, *, states: Sequence[str], limit: int, as_json: bool
) -> str:
    """List the accounts of the app in these states (all if empty), newest change first."""
    with database.read() as connection:
        found = account_list.list_accounts(connection, app_id, states=states, limit=limit)
        total = account_list.count_accounts(connection, app_id)
    if as_json:
        return json.dumps([_to_json(each) for each in found], ensure_ascii=False, indent=2)
    if not total:
        text = Bilingual(
            zh="还没有账户。用 notifier accounts import 登记内推人。",
            en="No accounts. Register referrers with `notifier accounts import`.",
        )
        return say(text)
    now = to_millis(clock.now())
    rows = [
        (
            each.account_id,
            say(STATE_TEXTS[each.state]),
            _name(each),
            _balance(each),
            format_ago(each.last_event_at, now),
        )
        for each in found
    ]
    shown = say(Bilingual(zh=f"{len(found)} / {total} 个账户", en=f"{len(found)} of {total} accounts"))
    return f"{format_table(_HEADS[get_language()], rows)}\n\n{shown}"


def show_account(database: Database, app_id: str, account_id: str, *, as_json: bool) -> str | None:
    """Show one account with its newest audit entries; None if it is not known."""
    with database.read() as connection:
        found = account_list.list_accounts(connection, app_id, account_ids=[account_id], limit=1)
        entries = audit.list_entries(connection, account_id=account_id, limit=_SHOWN_AUDIT_ENTRIES)
        chosen = _preferences_json(connection, found[0].referrer_open_id if found else None)
    if not found:
        return None
    document = _to_json(found[0]) | chosen
    if as_json:
        trail = [
            {
                "at": format_iso(entry.at),
                "actor": entry.actor,
                "action": entry.action,
                "outcome": entry.outcome,
            }
            for entry in entries
        ]
        return json.dumps({**document, "audit": trail}, ensure_ascii=False, indent=2)
    document["notices"] = say(FREQUENCY_TEXTS[chosen["notices"]])
    document["language"] = say(LANGUAGE_TEXTS[chosen["language"]])
    document |= {"state": say(STATE_TEXTS[found[0].state]), "balance": _balance(found[0])}
    lines = [
        f"{pad(localized(name, _LABELS_ZH[name]), 16)}{'-' if value is None else value}"
        for name, value in document.items()
    ]
    trail_lines = [
        f"{format_iso(entry.at)}  {name_actor(entry.actor)}  {show_stored(entry.outcome)}"
        for entry in entries
    ]
    return "\n".join([*lines, "", *trail_lines]).rstrip()


def _to_json(account: ListedAccount) -> dict[str, Any]:
    return {
        "account_id": account.account_id,
        "state": account.state.value,
        "referrer": account.referrer_open_id,
        "name_zh": one_line(account.name_zh),
        "name_en": one_line(account.name_en),
        "balance": describe_amounts(account.amounts) if account.has_balance else None,
        "last_event_at": format_iso(account.last_event_at),
        "confirmed_at": format_iso(account.confirmed_at),
    }


def _preferences_json(connection: Connection, open_id: str | None) -> dict[str, Any]:
    """What the referrer chose on the settings card, and how many deliveries wait because of it."""
    found = preferences.load_preferences(connection, [open_id]) if open_id else {}
    chosen = found.get(open_id or "", Preferences(open_id=open_id or ""))
    quiet_hours = chosen.quiet_hours
    return {
        "notices": chosen.frequency.value,
        "quiet_hours": f"{write_minute(quiet_hours.begin)}-{write_minute(quiet_hours.end)}"
        if quiet_hours
        else None,
        "time_zone": chosen.zone or None,
        "language": chosen.language.value,
        "held": preferences.count_held_for(connection, open_id) if open_id else 0,
    }


def _name(account: ListedAccount) -> str:
    names = (account.name_zh, account.name_en)
    first, second = names if get_language() is Language.ZH else reversed(names)
    return one_line(first) or one_line(second) or account.referrer_open_id or "-"


def _balance(account: ListedAccount) -> str:
    return format_amounts(account.amounts) if account.has_balance else "-"
