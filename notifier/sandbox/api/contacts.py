"""The contact and chat calls: find people, read a person, list groups."""

from typing import Any

from notifier.sandbox.api.gateway import Api, Call
from notifier.sandbox.api.quota import MESSAGES
from notifier.sandbox.error_codes import JsonObject, RefusedError, bad_field, wrong_type
from notifier.sandbox.tenant import PersonStatus, Tenant, TenantPerson

CHAT_SCOPES = ("im:chat", "im:chat:readonly", "im:chat:read")
MEMBER_SCOPES = ("im:chat", "im:chat:readonly", "im:chat.members:read")
QUERIES_PER_KIND = 50
ONE_USER = "/{user_id:(?!(?:batch|batch_get_id|find_by_department)$)[^/]+}"
"""An id, and not the name of another call."""
BOT_OFF = 232025
"""The code of a chat call without the ability Bot."""


class ContactApi:
    """The contact and chat calls."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    def apis(self) -> list[Api]:
        """All calls of this class."""
        users, chats = "/open-apis/contact/v3/users", "/open-apis/im/v1/chats"
        by_id, base = ("contact:user.id:readonly",), ("contact:contact.base:readonly",)
        members = chats + "/{chat_id}/members"
        in_chat = members + "/is_in_chat"
        chat: Any = {"limits": MESSAGES, "bot_off_code": BOT_OFF}
        return [
            Api(method="POST", path=users + "/batch_get_id", scopes=by_id, limits=MESSAGES, answer=self.find),
            Api(method="GET", path=users + "/batch", scopes=base, limits=MESSAGES, answer=self.users),
            Api(method="GET", path=users + ONE_USER, scopes=base, limits=MESSAGES, answer=self.user),
            Api(method="GET", path=chats, answer=self.chats, scopes=CHAT_SCOPES, **chat),
            Api(method="GET", path=members, answer=self.members, scopes=MEMBER_SCOPES, **chat),
            Api(method="GET", path=in_chat, answer=self.is_in_chat, scopes=MEMBER_SCOPES, **chat),
        ]

    def users(self, call: Call) -> JsonObject:
        """Several people by their ids. Unknown ids and people out of range are left out."""
        id_type = _id_type(call)
        found = [
            self._user(person)
            for wanted in call.query_lists.get("user_ids", ())
            for person in self._tenant.people.values()
            if getattr(person, id_type) == wanted and self._tenant.may_read(person)
        ]
        return {"items": found}

    def find(self, call: Call) -> JsonObject:
        """batch_get_id: an unknown e-mail address or phone number is returned without an id and without an error."""
        id_type = _id_type(call)
        found: list[JsonObject] = []
        for field, kind in (("emails", "email"), ("mobiles", "mobile")):
            queries = call.body.get(field) or []
            if not isinstance(queries, list) or not all(isinstance(item, str) for item in queries):
                raise wrong_type(field, queries)
            if len(queries) > QUERIES_PER_KIND:
                raise bad_field(field, f"at most {QUERIES_PER_KIND} entries", len(queries))
            found += [self._find_one(kind, item, id_type, call.body) for item in queries]
        return {"user_list": found}

    def _find_one(self, kind: str, query: str, id_type: str, body: JsonObject) -> JsonObject:
        full = f"+86{query}" if kind == "mobile" and not query.startswith("+") else query
        for person in self._tenant.people.values():
            hidden = person.status is PersonStatus.RESIGNED and not body.get("include_resigned")
            if getattr(person, kind) == full and not hidden and self._tenant.may_read(person):
                return {kind: query, "user_id": getattr(person, id_type)}
        return {kind: query}

    def user(self, call: Call) -> JsonObject:
        """One person; its fields depend on the granted scopes."""
        id_type = _id_type(call)
        if id_type == "open_id" and self._tenant.is_foreign(call.path["user_id"]):
            raise RefusedError(99992361)
        for person in self._tenant.people.values():
            if getattr(person, id_type) == call.path["user_id"]:
                if not self._tenant.may_read(person):
                    raise RefusedError(41050)
                return {"user": self._user(person)}
        raise RefusedError(99992351 if id_type == "open_id" else 41012)

    def _user(self, person: TenantPerson) -> JsonObject:
        """Each field requires its own scope; without it the field is absent."""
        granted = self._tenant.granted_scopes
        user: JsonObject = {"open_id": person.open_id, "union_id": person.union_id}
        if "contact:user.employee_id:readonly" in granted:
            user["user_id"] = person.user_id
        if "contact:user.base:readonly" in granted:
            user |= {"name": person.name, "en_name": person.en_name}
        if "contact:user.email:readonly" in granted:
            user["email"] = person.email
        if "contact:user.phone:readonly" in granted:
            user["mobile"] = person.mobile
        resigned = person.status is PersonStatus.RESIGNED
        user["status"] = {
            "is_frozen": False,
            "is_resigned": resigned,
            "is_activated": True,
            "is_exited": resigned,
        }
        return user

    def chats(self, call: Call) -> JsonObject:
        """The groups of the bot, in pages. Direct chats are not listed."""
        size_text, token = call.query.get("page_size", "20"), call.query.get("page_token", "") or "0"
        if not size_text.isdecimal() or not 1 <= int(size_text) <= 100 or not token.isdecimal():
            raise bad_field("page_size", "must be from 1 to 100", size_text)
        start, end = int(token), int(token) + int(size_text)
        groups = [
            group
            for group in self._tenant.groups.values()
            if self._tenant.find_group(group.chat_id) and self._tenant.has_bot(group) and not group.dissolved
        ]
        items = [
            {
                "chat_id": group.chat_id,
                "name": group.name,
                "description": "",
                "external": False,
                "tenant_key": self._tenant.settings.tenant_key,
                "chat_status": "normal",
            }
            for group in groups[start:end]
        ]
        has_more = end < len(groups)
        return {"items": items, "has_more": has_more, "page_token": str(end) if has_more else ""}

    def members(self, call: Call) -> JsonObject:
        """The people in a group, without the bot."""
        group = self._tenant.find_group(call.path["chat_id"])
        if group is None:
            raise RefusedError(232006)
        people = {person.open_id: person for person in self._tenant.people.values()}
        items = [
            {"member_id_type": "open_id", "member_id": open_id, "name": people[open_id].name}
            for open_id in group.members
            if open_id in people and not self._tenant.is_foreign(open_id)
        ]
        return {"items": items, "has_more": False, "page_token": "", "member_total": len(items)}

    def is_in_chat(self, call: Call) -> JsonObject:
        """Whether the bot is a member of the group."""
        chat_id = call.path["chat_id"]
        group = self._tenant.find_group(chat_id)
        if group is None:
            raise RefusedError(99992356 if chat_id.startswith("oc_") else 232006)
        if group.dissolved:
            raise RefusedError(232009)
        return {"is_in_chat": self._tenant.has_bot(group)}


def _id_type(call: Call) -> str:
    id_type = call.query.get("user_id_type", "open_id")
    if id_type not in ("open_id", "union_id", "user_id"):
        raise bad_field("user_id_type", "must be open_id, union_id or user_id", id_type)
    return id_type
