"""The whole state of the sandbox as JSON, for the page and for tests."""

from collections.abc import Mapping
from decimal import Decimal

from notifier.sandbox.api.hire import BookedOrder
from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.event_types import PUSHABLE_EVENTS
from notifier.sandbox.sandbox import Sandbox
from notifier.sandbox.tenant import APP_SENDER, BOT_NAME, Account, Message, Tenant, TenantPerson

EVENTS_SHOWN, REQUESTS_SHOWN, MESSAGES_SHOWN = 100, 200, 200
WITHDRAWALS_SHOWN, PAYOUTS_SHOWN = 200, 200


def build_state(sandbox: Sandbox, *, feishu_url: str) -> JsonObject:
    """The state as JSON; the newest events, requests and messages come first and are limited in number.

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
        "groups": [
            {
                "chat_id": group.chat_id,
                "name": group.name,
                "en_name": group.en_name,
                "operators": list(tenant.settings.operators.get(group.chat_id, ())),
                "has_bot": group.has_bot,
                "muted": group.muted,
                "dissolved": group.dissolved,
                "members": group.members,
            }
            for group in tenant.groups.values()
        ],
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
        "requests": [request.to_json() for request in reversed(tenant.requests[-REQUESTS_SHOWN:])],
        "unknown_calls": dict(sorted(tenant.unknown_calls.items())),
        "refusals": {str(code): count for code, count in sorted(tenant.refusals.items())},
        "scopes": sorted(tenant.granted_scopes),
        "menu": [
            {"event_key": key, "name": name, "en_name": en_name}
            for key, name, en_name in tenant.settings.bot_menu
        ],
        "event_types": sorted(PUSHABLE_EVENTS),
        "console": tenant.console.to_json(),
        "call_faults": [fault.to_json() for fault in sandbox.call_faults.rules],
    }


def person_json(person: TenantPerson) -> JsonObject:
    """A person as JSON."""
    return {
        "open_id": person.open_id,
        "name": person.name,
        "en_name": person.en_name,
        "status": person.status.value,
        "chat_id": person.chat_id,
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
        **shown,
    }


def _sender(message: Message, tenant: Tenant) -> JsonObject:
    person = tenant.people.get(message.sender_id)
    return {
        "id": message.sender_id,
        "id_type": "app_id" if message.sender_type == APP_SENDER else "open_id",
        "sender_type": message.sender_type,
        "name": BOT_NAME if message.sender_type == APP_SENDER else person.name if person else "",
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
