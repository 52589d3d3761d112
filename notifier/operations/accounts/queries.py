"""Lists and shows the known accounts."""

import json
from collections.abc import Sequence
from typing import Any

from notifier.clock import Clock, to_millis
from notifier.domain.card import Bilingual
from notifier.domain.contact_data import one_line
from notifier.domain.money import describe_amounts
from notifier.operations.formatting import format_ago, format_iso, format_table
from notifier.operations.language import Language, get_language, say
from notifier.store import audit
from notifier.store.engine.database import Database
from notifier.store.people import account_list
from notifier.store.people.account_list import AccountListState, ListedAccount

STATE_TEXTS = {
    AccountListState.ACTIVE: Bilingual(zh="启用", en="active"),
    AccountListState.DEACTIVATED: Bilingual(zh="停用", en="deactivated"),
    AccountListState.UNKNOWN: Bilingual(zh="未知", en="unknown"),
}
_HEADS = {
    Language.EN: ("account", "state", "referrer", "balance", "last event"),
    Language.ZH: ("账户", "状态", "内推人", "余额", "最近事件"),
}
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
    if not found:
        return None
    document = _to_json(found[0])
    trail = [
        {"at": format_iso(entry.at), "actor": entry.actor, "action": entry.action, "outcome": entry.outcome}
        for entry in entries
    ]
    if as_json:
        return json.dumps({**document, "audit": trail}, ensure_ascii=False, indent=2)
    lines = [f"{name:<16}{value if value is not None else '-'}" for name, value in document.items()]
    return "\n".join(
        [*lines, "", *(f"{each['at']}  {each['actor']}  {each['outcome']}" for each in trail)]
    ).rstrip()


def _to_json(account: ListedAccount) -> dict[str, Any]:
    return {
        "account_id": account.account_id,
        "state": account.state.value,
        "referrer": account.referrer_open_id,
        "name_zh": one_line(account.name_zh),
        "name_en": one_line(account.name_en),
        "balance": _balance(account) if account.has_balance else None,
        "last_event_at": format_iso(account.last_event_at),
        "confirmed_at": format_iso(account.confirmed_at),
    }


def _name(account: ListedAccount) -> str:
    names = (account.name_zh, account.name_en)
    first, second = names if get_language() is Language.ZH else reversed(names)
    return one_line(first) or one_line(second) or account.referrer_open_id or "-"


def _balance(account: ListedAccount) -> str:
    return describe_amounts(account.amounts) if account.has_balance else "-"
