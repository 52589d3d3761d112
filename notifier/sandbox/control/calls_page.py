"""Writes the list of calls in docs/sandbox.md: `python -m notifier.sandbox.control.calls_page docs/sandbox.md`.

The rows come from the `Api` values of the sandbox, and from `ORDINARY` for calls that it does not have.
"""

import asyncio
import re
import sys
from pathlib import Path

from notifier.sandbox.api.gateway import Api
from notifier.sandbox.sandbox import Sandbox
from notifier.sandbox.settings import SandboxSettings

BEGIN, END = "<!-- calls: begin -->", "<!-- calls: end -->"
COVERAGE = {"full": "full", "shape": "shape only"}
MISSING = "missing"
ORDINARY = """\
DELETE im/v1/batch_messages/{batch_message_id}
DELETE im/v1/chats/{chat_id}/chat_tabs/delete_tabs
DELETE im/v1/chats/{chat_id}/menu_tree
DELETE im/v1/messages/{message_id}
DELETE im/v1/messages/{message_id}/reactions/{reaction_id}
DELETE im/v1/pins/{message_id}
GET application/v6/applications
GET application/v6/applications/underauditlist
GET application/v6/applications/{app_id}/collaborators
GET application/v6/applications/{app_id}/contacts_range_configuration
GET application/v6/applications/{app_id}/feedbacks
GET application/v6/app_recommend_rules
GET contact/v3/departments
GET im/v1/batch_messages/{batch_message_id}/get_progress
GET im/v1/batch_messages/{batch_message_id}/read_user
GET im/v1/chats/{chat_id}/announcement
GET im/v1/chats/{chat_id}/chat_tabs/list_tabs
GET im/v1/chats/{chat_id}/menu_tree
GET im/v1/chats/{chat_id}/moderation
GET im/v1/messages
GET im/v1/messages/{message_id}/reactions
GET im/v1/messages/{message_id}/read_users
GET im/v1/messages/{message_id}/resources/{file_key}
GET im/v1/pins
GET tenant/v2/tenant/query
PATCH im/v1/chats/{chat_id}/announcement
PATCH im/v1/chats/{chat_id}/members/me_join
PATCH im/v1/chats/{chat_id}/menu_items/{menu_item_id}
PATCH im/v1/messages/{message_id}/urgent_app
PATCH im/v1/messages/{message_id}/urgent_phone
PATCH im/v1/messages/{message_id}/urgent_sms
POST application/v6/scopes/apply
POST im/v1/chats/{chat_id}/chat_tabs
POST im/v1/chats/{chat_id}/chat_tabs/sort_tabs
POST im/v1/chats/{chat_id}/chat_tabs/update_tabs
POST im/v1/chats/{chat_id}/managers/add_managers
POST im/v1/chats/{chat_id}/managers/delete_managers
POST im/v1/chats/{chat_id}/menu_tree
POST im/v1/chats/{chat_id}/menu_tree/sort
POST im/v1/chats/{chat_id}/top_notice/delete_top_notice
POST im/v1/chats/{chat_id}/top_notice/put_top_notice
POST im/v1/messages/merge_forward
POST im/v1/messages/reactions/batch_query
POST im/v1/messages/search
POST im/v1/messages/{message_id}/forward
POST im/v1/messages/{message_id}/push_follow_up
POST im/v1/messages/{message_id}/reactions
POST im/v1/pins
POST im/v1/threads/{thread_id}/forward
POST message/v4/batch_send
PUT im/v1/chats/{chat_id}/moderation
PUT im/v1/messages/{message_id}
"""
"""Calls that ordinary bots make and that the sandbox may not have.

Source: the models of lark-oapi 1.7.5 (all of im/v1, auth/v3, authen/v1 and cardkit/v1; reading of users, departments,
scopes and applications in contact/v3 and application/v6), and three more: tenant, batch messages, asking for scopes.
"""


def list_apis() -> list[Api]:
    """All calls of a sandbox."""

    async def build() -> list[Api]:
        return Sandbox(SandboxSettings()).apis()

    return asyncio.run(build())


def call_name(method: str, path: str) -> str:
    """The name of a call in the list, such as `GET im/v1/chats/{chat_id}`."""
    short = re.sub(r"\{(\w+)[^{}]*\}", r"{\1}", path.removeprefix("/open-apis/"))
    return f"{method} {short}"


def anonymous(name: str) -> str:
    """The name without the names of its placeholders, to compare two calls."""
    return re.sub(r"\{\w+\}", "{}", name)


def calls_table() -> str:
    """The list as a Markdown table, by path."""
    rows = {call_name(api.method, api.path): (COVERAGE[api.coverage], api.notes) for api in list_apis()}
    known = {anonymous(name) for name in rows}
    rows |= {name: (MISSING, "") for name in ORDINARY.splitlines() if anonymous(name) not in known}
    lines = ["| call | coverage | notes |", "| --- | --- | --- |"]
    for name in sorted(rows, key=lambda one: (one.partition(" ")[2], one)):
        coverage, notes = rows[name]
        lines.append(f"| `{name}` | {coverage} | {notes} |")
    return "\n".join(lines)


def with_table(page: str) -> str:
    """The page with the present table between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{calls_table()}\n{END}{after}"


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(with_table(file.read_text(encoding="utf-8")), encoding="utf-8")
