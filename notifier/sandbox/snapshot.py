"""The whole state of the sandbox as JSON, for the page and for tests."""

from collections.abc import Mapping
from decimal import Decimal

from notifier.sandbox.api.hire import BookedOrder
from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.sandbox import Sandbox
from notifier.sandbox.tenant import (
    APP_SENDER,
    Account,
    Department,
    Group,
    LedgerEntry,
    Message,
    Tenant,
    TenantPerson,
)

EVENTS_SHOWN, MESSAGES_SHOWN = 100, 200
WITHDRAWALS_SHOWN, PAYOUTS_SHOWN = 200, 200


def build_state(sandbox: Sandbox, *, feishu_url: str) -> JsonObject:
    """The state as JSON; the newest events and messages come first and are limited in number.

    feishu_url: the address that the client under test uses.
    """
    tenant = sandbox.tenant
    return {
        "revision": tenant.revision,
        "now_ms": tenant.clock.now_ms(),
        "ahead_seconds": tenant.clock.ahead_seconds,
        "sends_digest": bool(tenant.settings.digest_command),
        "feishu_url": feishu_url,
        "app": {"app_id": tenant.settings.app_id, "connections": len(sandbox.connection.connections)},
        "long_connection": sandbox.connection.to_json(),
        "running_faults": [fault.to_json() for fault in sandbox.running_faults.running()],
        "people": [person_json(person) for person in tenant.people.values()],
        "departments": [department_json(one) for one in tenant.departments.values()],
        "groups": [group_json(group, tenant) for group in tenant.groups.values()],
        "accounts": [account_json(account) for account in tenant.accounts.values()],
        "chats": _chats(sandbox),
        "events": [
            record.to_json() for record in reversed(list(sandbox.pusher.records.values())[-EVENTS_SHOWN:])
        ],
        "withdrawals": [
            withdrawal_json(order)
            for order in reversed(list(sandbox.hire.orders.values())[-WITHDRAWALS_SHOWN:])
        ],
        "payouts": [
            payout.to_json() for payout in reversed(list(sandbox.payroll.payouts.values())[-PAYOUTS_SHOWN:])
        ],
        "payout_report_url": sandbox.payroll.report_url,
        "webhook_url": sandbox.webhook.url,
        "on_hold": sandbox.pusher.on_hold,
        "unknown_calls": dict(sorted(tenant.unknown_calls.items())),
        "refusals": {str(code): count for code, count in sorted(tenant.refusals.items())},
        "scopes": sorted(tenant.granted_scopes),
        "menu": [
            {"event_key": key, "name": name, "en_name": en_name}
            for key, name, en_name in tenant.settings.bot_menu
        ],
        "console": tenant.console.to_json(),
        "call_faults": [fault.to_json() for fault in sandbox.call_faults.rules],
    }


def person_json(person: TenantPerson) -> JsonObject:
    """A person as JSON."""
    return {
        "open_id": person.open_id,
        "union_id": person.union_id,
        "user_id": person.user_id,
        "email": person.email,
        "mobile": person.mobile,
        "departments": list(person.department_ids),
        "name": person.name,
        "en_name": person.en_name,
        "status": person.status.value,
        "chat_id": person.chat_id,
    }


def group_json(group: Group, tenant: Tenant) -> JsonObject:
    """A group as JSON, with the operators that the settings name."""
    return {
        "chat_id": group.chat_id,
        "name": group.name,
        "en_name": group.en_name,
        "operators": list(tenant.settings.operators.get(group.chat_id, ())),
        "has_bot": group.has_bot,
        "muted": group.muted,
        "dissolved": group.dissolved,
        "members": list(group.members),
    }


def department_json(department: Department) -> JsonObject:
    """A department as JSON. leader: an open_id, "" without one."""
    return {
        "id": department.department_id,
        "name": department.name,
        "en_name": department.en_name,
        "parent": department.parent_department_id,
        "leader": department.leader_open_id,
    }


def account_json(account: Account) -> JsonObject:
    """An account as JSON. Amounts are strings with two decimals, which are exact, unlike the floats of Feishu's API."""
    return {
        "account_id": account.account_id,
        "open_id": account.open_id,
        "status": account.status,
        "points": account.points,
        "cash": _cash(account.cash),
    }


def withdrawal_json(order: BookedOrder) -> JsonObject:
    """A completed withdrawal as JSON; request_count is the number of requests with its order id."""
    return {
        "order_id": order.external_order_id,
        "account_id": order.account_id,
        "points": order.points,
        "cash": _cash(order.cash),
        "at_ms": order.at_ms,
        "request_count": order.request_count,
    }


def ledger_json(entry: LedgerEntry) -> JsonObject:
    """A balance change as JSON; amounts are strings with a sign for reductions."""
    return {
        "at_ms": entry.at_ms,
        "account_id": entry.account_id,
        "points": entry.points,
        "cash": _cash(entry.cash),
        "reason": entry.reason,
        "reference": entry.reference,
    }


def message_json(message: Message, tenant: Tenant) -> JsonObject:
    """A message as JSON. A file message has the name and size of its file in addition."""
    file = tenant.files.get(str(message.content.get("file_key"))) if message.msg_type == "file" else None
    shown = {"file": {"name": file["file_name"], "bytes": file["bytes"]}} if file else {}
    return {
        "message_id": message.message_id,
        "chat_id": message.chat_id,
        "create_time_ms": message.create_time_ms,
        "update_time_ms": message.update_time_ms,
        "msg_type": message.msg_type,
        "content": message.content,
        "uuid": message.uuid,
        "sender": _sender(message, tenant),
        "root_id": message.root_id,
        "parent_id": message.parent_id,
        "thread_id": message.thread_id,
        "mentions": [
            {"key": mention.key, "open_id": mention.open_id, "name": mention.name}
            for mention in message.mentions
        ],
        "reactions": [
            {
                "reaction_id": reaction.reaction_id,
                "emoji_type": reaction.emoji_type,
                "operator_id": reaction.operator_id,
            }
            for reaction in message.reactions
        ],
        "read_by": list(message.read_by),
        "is_recalled": message.recalled,
        "is_pinned": message.pinned_by is not None,
        "urgent_to": message.urgent_to,
        "merged_ids": message.merged_ids,
        "visible_to": message.visible_to,
        "is_of_custom_bot": bool(message.hook_token),
        "personal_cards": message.personal_cards,
        **shown,
    }


def _sender(message: Message, tenant: Tenant) -> JsonObject:
    sender_id = tenant.local_id(message.sender_id)
    if message.sender_type == APP_SENDER:
        apps = (tenant, *tenant.other_apps)
        name = next((one.settings.app_name for one in apps if one.settings.app_id == sender_id), "")
    else:
        name = tenant.people[sender_id].name if sender_id in tenant.people else ""
    return {
        "id": sender_id,
        "id_type": "app_id" if message.sender_type == APP_SENDER else "open_id",
        "sender_type": message.sender_type,
        "name": name,
    }


def _cash(cash: Mapping[str, Decimal]) -> list[JsonObject]:
    return [{"currency": code, "amount": f"{amount:.2f}"} for code, amount in cash.items()]


def _chats(sandbox: Sandbox) -> list[JsonObject]:
    tenant = sandbox.tenant
    by_chat: dict[str, list[JsonObject]] = {}
    for message in tenant.messages.values():
        by_chat.setdefault(message.chat_id, []).append(message_json(message, tenant))
    groups = [(group.chat_id, "group", group.name, group.en_name, None) for group in tenant.groups.values()]
    people = [
        (person.chat_id, "p2p", person.name, person.en_name, person.open_id)
        for person in tenant.people.values()
    ]
    return [
        {
            "chat_id": chat_id,
            "kind": kind,
            "name": name,
            "en_name": en_name,
            "open_id": open_id,
            "messages": by_chat.get(chat_id, [])[-MESSAGES_SHOWN:],
        }
        for chat_id, kind, name, en_name, open_id in [*groups, *people]
    ]
