"""The calls about the members of a group."""

from typing import Any

from notifier.sandbox.api.chats.groups import BOTS_PER_CALL, ONE_CHAT, PEOPLE_PER_CALL
from notifier.sandbox.api.chats.operators import BOT_OFF, check_member, find_group, is_manager, is_member
from notifier.sandbox.api.gateway import Api, Call
from notifier.sandbox.api.parameters import find_person_by, one_page, user_id_type
from notifier.sandbox.api.quota import MESSAGES
from notifier.sandbox.api.tokens import TENANT, USER
from notifier.sandbox.error_codes import JsonObject, RefusedError, bad_field, wrong_type
from notifier.sandbox.tenant import Group, PersonStatus, Tenant

READ_SCOPES = ("im:chat", "im:chat:readonly", "im:chat.members:read")
WRITE_SCOPES = ("im:chat", "im:chat.members:write_only")


class ChatMemberApi:
    """The calls about the members of a group."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    def apis(self) -> list[Api]:
        """All calls of this class."""
        path = ONE_CHAT + "/members"
        common: Any = {"limits": MESSAGES, "bot_off_code": BOT_OFF, "tokens": (TENANT, USER)}
        read: Any = {**common, "method": "GET", "scopes": READ_SCOPES}
        notes = "no events; nobody has to approve"
        return [
            Api(path=path, answer=self.members, **read),
            Api(path=path + "/is_in_chat", answer=self.is_in_chat, **read),
            Api(method="POST", path=path, answer=self.add, scopes=WRITE_SCOPES, notes=notes, **common),
            Api(
                method="DELETE",
                path=path,
                answer=self.remove,
                scopes=WRITE_SCOPES,
                notes="no events",
                **common,
            ),
        ]

    def members(self, call: Call) -> JsonObject:
        """The people in a group, without the bot, in pages."""
        id_type = user_id_type(call, "member_id_type")
        group = find_group(self._tenant, call)
        people = [
            self._tenant.people[open_id]
            for open_id in group.members
            if open_id in self._tenant.people and not self._tenant.is_foreign(open_id)
        ]
        found, more = one_page(call, people, default=20, maximum=100)
        items = [
            {
                "member_id_type": id_type,
                "member_id": getattr(person, id_type),
                "name": person.name,
                "tenant_key": self._tenant.settings.tenant_key,
            }
            for person in found
        ]
        return {"items": items, **more, "member_total": len(people)}

    def is_in_chat(self, call: Call) -> JsonObject:
        """Whether the caller is a member of the group."""
        chat_id = call.path["chat_id"]
        group = self._tenant.find_group(chat_id)
        if group is None:
            raise RefusedError(99992356 if chat_id.startswith("oc_") else 232006)
        if group.dissolved:
            raise RefusedError(232009)
        return {"is_in_chat": is_member(self._tenant, group, call)}

    def add(self, call: Call) -> JsonObject:
        """Adds people or bots.

        `succeed_type` 0 refuses unknown ids, 1 adds the others, 2 refuses also people who have left. Ids of people who
        have left are returned.
        """
        group = find_group(self._tenant, call)
        check_member(self._tenant, group, call)
        if group.options.get("add_member_permission") == "only_owner" and not is_manager(
            self._tenant, group, call
        ):
            raise RefusedError(232017)
        succeed_type = call.query.get("succeed_type", "0")
        if succeed_type not in ("0", "1", "2"):
            raise RefusedError(232001, "ext=succeed_type must be 0, 1 or 2")
        open_ids, unknown, invalid = self._sort_ids(call)
        if unknown and succeed_type != "1":
            raise RefusedError(232043, f"ext={', '.join(unknown)}")
        if invalid and succeed_type == "2":
            raise RefusedError(232043, f"ext={', '.join(invalid)}")
        if not open_ids and not invalid and succeed_type == "1":
            raise RefusedError(232027)
        for open_id in open_ids:
            if open_id == self._tenant.settings.app_id:
                group.has_bot = True
            elif open_id not in group.members:
                group.members.append(open_id)
        return {
            "invalid_id_list": invalid,
            "not_existed_id_list": unknown,
            "pending_approval_id_list": [],
        }

    def remove(self, call: Call) -> JsonObject:
        """Removes people or bots. Everybody may remove themselves, only the owner others."""
        tenant = self._tenant
        group = find_group(tenant, call)
        check_member(tenant, group, call)
        open_ids, unknown, resigned = self._sort_ids(call)
        caller = call.open_id or tenant.settings.app_id
        if any(open_id != caller for open_id in open_ids) and not is_manager(tenant, group, call):
            raise RefusedError(232014)
        if not [one for one in open_ids if self._is_in(group, one)]:
            raise RefusedError(232027)
        if group.owner_id and group.owner_id in open_ids and call.open_id != group.owner_id:
            raise RefusedError(232076)
        for open_id in open_ids:
            if open_id == tenant.settings.app_id:
                group.has_bot = False
            elif open_id in group.members:
                group.members.remove(open_id)
        return {"invalid_id_list": [*unknown, *resigned]}

    def _is_in(self, group: Group, open_id: str) -> bool:
        return group.has_bot if open_id == self._tenant.settings.app_id else open_id in group.members

    def _sort_ids(self, call: Call) -> tuple[list[str], list[str], list[str]]:
        """The ids of the request: open_ids (or the app_id of the bot), unknown ids, and ids of people who left."""
        is_bot = call.query.get("member_id_type") == "app_id"
        id_type = "app_id" if is_bot else user_id_type(call, "member_id_type")
        ids, maximum = call.body.get("id_list"), BOTS_PER_CALL if is_bot else PEOPLE_PER_CALL
        if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
            raise wrong_type("id_list", ids)
        if len(ids) > maximum:
            raise bad_field("id_list", f"at most {maximum} entries", len(ids))
        if not ids:
            raise RefusedError(232027)
        if is_bot:
            own = self._tenant.settings.app_id
            return [one for one in ids if one == own], [one for one in ids if one != own], []
        found = {one: find_person_by(self._tenant, id_type, one) for one in ids}
        unknown = [one for one, person in found.items() if person is None]
        people = {one: person for one, person in found.items() if person is not None}
        gone = [one for one, person in people.items() if person.status is PersonStatus.RESIGNED]
        return [person.open_id for one, person in people.items() if one not in gone], unknown, gone
