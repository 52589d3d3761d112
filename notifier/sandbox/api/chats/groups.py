"""The calls that list, find, read, create, change and dissolve groups."""

import secrets
from collections.abc import Mapping
from typing import Any

from notifier.sandbox.api.chats.operators import (
    BOT_OFF,
    CHAT_SCOPES,
    check_member,
    find_group,
    find_member,
    is_manager,
    is_member,
)
from notifier.sandbox.api.gateway import Api, Call
from notifier.sandbox.api.parameters import one_page, user_id_type
from notifier.sandbox.api.quota import MESSAGES
from notifier.sandbox.api.tokens import TENANT, USER
from notifier.sandbox.error_codes import JsonObject, RefusedError, bad_field, optional_text, wrong_type
from notifier.sandbox.tenant import Group, PersonStatus, Tenant, new_id

CHATS = "/open-apis/im/v1/chats"
ONE_CHAT = CHATS + "/{chat_id:(?!search/?$)[^/]+}"
PEOPLE_PER_CALL, BOTS_PER_CALL = 50, 5
UUID_SECONDS = 10 * 3600
SEARCH_CHARS = 64
LINK_SECONDS = {"week": 7 * 86400, "year": 365 * 86400, "permanently": None}
OPTIONS = {
    "add_member_permission": ("all_members", "only_owner"),
    "share_card_permission": ("not_allowed", "allowed"),
    "at_all_permission": ("all_members", "only_owner"),
    "edit_permission": ("all_members", "only_owner"),
    "join_message_visibility": ("all_members", "only_owner", "not_anyone"),
    "leave_message_visibility": ("all_members", "only_owner", "not_anyone"),
    "membership_approval": ("no_approval_required", "approval_required"),
    "moderation_permission": ("all_members", "only_owner"),
    "chat_type": ("private", "public"),
    "group_message_type": ("chat", "thread"),
    "urgent_setting": ("all_members", "only_owner"),
    "video_conference_setting": ("all_members", "only_owner"),
    "hide_member_count_setting": ("all_members", "only_owner"),
}
"""The settings of a group and their values; the first one is the default."""
FREE_MEMBERS = {"avatar", "name", "description", "i18n_names"}
"""What every member may change while edit_permission is all_members."""


class ChatApi:
    """The calls about groups."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._created: dict[
            tuple[str, str], tuple[float, str]
        ] = {}  # by uuid and owner: when, and the chat_id

    def apis(self) -> list[Api]:
        """All calls of this class."""
        common: Any = {"limits": MESSAGES, "bot_off_code": BOT_OFF, "tokens": (TENANT, USER)}
        read: Any = {**common, "scopes": CHAT_SCOPES}
        notes = "most settings are kept and returned without an effect; no avatar, no events"
        search = "only groups of the caller; by name and members, without pinyin"
        create = ("im:chat", "im:chat:create")
        return [
            Api(method="GET", path=CHATS, answer=self.chats, notes="sort_type has no effect", **read),
            Api(method="GET", path=CHATS + "/search", answer=self.search, notes=search, **read),
            Api(method="GET", path=ONE_CHAT, answer=self.chat, **read),
            Api(method="POST", path=ONE_CHAT + "/link", answer=self.link, **read),
            Api(
                method="POST",
                path=CHATS,
                answer=self.create,
                notes=notes,
                scopes=create,
                **{**common, "tokens": (TENANT,)},
            ),
            Api(
                method="PUT",
                path=ONE_CHAT,
                answer=self.update,
                notes=notes,
                scopes=("im:chat", "im:chat:update"),
                **common,
            ),
            Api(
                method="DELETE",
                path=ONE_CHAT,
                answer=self.delete,
                scopes=("im:chat", "im:chat:delete"),
                **common,
            ),
        ]

    def chats(self, call: Call) -> JsonObject:
        """The groups of the caller, in pages. Direct chats are not listed."""
        user_id_type(call)
        found, more = one_page(call, self._groups_of(call), default=20, maximum=100)
        return {"items": [self._summary(group, call) for group in found], **more}

    def search(self, call: Call) -> JsonObject:
        """The groups of the caller whose name or a member's name contains `query`."""
        user_id_type(call)
        query = call.query.get("query", "").lower()
        people = self._tenant.people

        def matches(group: Group) -> bool:
            names = [group.name, group.en_name, *(people[one].name for one in group.members if one in people)]
            return any(query in name.lower() for name in names)

        is_searchable = 0 < len(query) <= SEARCH_CHARS
        groups = [group for group in self._groups_of(call) if matches(group)] if is_searchable else []
        found, more = one_page(call, groups, default=20, maximum=100)
        return {"items": [self._summary(group, call) for group in found], **more}

    def chat(self, call: Call) -> JsonObject:
        """One group. Who is not in it gets less."""
        tenant = self._tenant
        direct = tenant.person_of_chat(call.path["chat_id"])
        if direct is not None:
            tenant_key = tenant.settings.tenant_key
            return {"chat_mode": "p2p", "chat_type": "private", "external": False, "tenant_key": tenant_key}
        group = find_group(tenant, call, is_dissolved_ok=True)
        found = self._summary(group, call)
        del found["chat_id"]
        if not is_member(tenant, group, call):
            return found
        return {
            **found,
            "i18n_names": {"zh_cn": group.name, "en_us": group.en_name},
            "chat_mode": "group",
            **_options(group.options),
            "user_count": str(len(group.members)),
            "bot_count": str(int(tenant.has_bot(group))),
        }

    def link(self, call: Call) -> JsonObject:
        """A link to join the group, valid for a week, a year or permanently."""
        group = find_group(self._tenant, call)
        check_member(self._tenant, group, call)
        period = optional_text(call.body, "validity_period") or "week"
        if period not in LINK_SECONDS:
            raise RefusedError(232001, "ext=validity_period must be week, year or permanently")
        seconds = LINK_SECONDS[period]
        token = f"{secrets.token_hex(4)}-{secrets.token_hex(2)}-{secrets.token_hex(2)}-{secrets.token_hex(7)}"
        until = "" if seconds is None else str(int(self._tenant.clock.now()) + seconds)
        return {
            "share_link": f"https://applink.feishu.cn/client/chat/chatter/add_by_link?link_token={token}",
            "expire_time": until,
            "is_permanent": seconds is None,
        }

    def create(self, call: Call) -> JsonObject:
        """Creates a group with the bot in it. A repeated `uuid` returns the first group for 10 hours."""
        body, tenant = call.body, self._tenant
        id_type = user_id_type(call)
        owner_key = optional_text(body, "owner_id") or ""
        owner_id = ""
        if owner_key:
            owner_id = find_member(tenant, id_type, owner_key, code=232030).open_id
        uuid = call.query.get("uuid", "")
        known = self._created.get((uuid, owner_id))
        if uuid and known and tenant.clock.elapsed() - known[0] < UUID_SECONDS and known[1] in tenant.groups:
            return self._created_json(tenant.groups[known[1]], call)
        options = self._read_options(body)
        name = optional_text(body, "name") or ""
        if options.get("chat_type") == "public" and len(name) < 2:
            raise RefusedError(232020 if name else 232042)
        if any(bot != tenant.settings.app_id for bot in _ids(body, "bot_id_list", BOTS_PER_CALL)):
            raise RefusedError(232021)
        group = Group(
            chat_id=new_id("oc"),
            name=name,
            en_name=_english_name(body) or name,
            members=self._read_members(body, id_type, owner_id),
            description=optional_text(body, "description") or "",
            owner_id=owner_id,
            created_by_app=True,
            options=options,
        )
        tenant.groups[group.chat_id] = group
        self._created[uuid, owner_id] = (tenant.clock.elapsed(), group.chat_id)
        return self._created_json(group, call)

    def update(self, call: Call) -> JsonObject:
        """Changes a group. What is absent stays as it is."""
        tenant, body = self._tenant, call.body
        group = find_group(tenant, call)
        check_member(tenant, group, call)
        if not is_manager(tenant, group, call):
            if group.options.get("edit_permission") == "only_owner":
                raise RefusedError(232002)
            if set(body) - FREE_MEMBERS:
                raise RefusedError(232016)
        options = self._read_options(body)
        name, description = optional_text(body, "name"), optional_text(body, "description")
        owner = optional_text(body, "owner_id")
        if owner:
            person = find_member(tenant, user_id_type(call), owner, code=232035)
            if person.open_id not in group.members:
                raise RefusedError(232012)
            group.owner_id = person.open_id
        group.name = group.name if name is None else name
        group.en_name = _english_name(body) or (group.en_name if name is None else name)
        group.description = group.description if description is None else description
        group.options |= options
        return {}

    def delete(self, call: Call) -> JsonObject:
        """Dissolves a group. Only its owner, or the app that created it, may do it."""
        group = find_group(self._tenant, call)
        check_member(self._tenant, group, call)
        if not is_manager(self._tenant, group, call):
            raise RefusedError(232017)
        group.dissolved = True
        return {}

    def _groups_of(self, call: Call) -> list[Group]:
        tenant = self._tenant
        return [
            group
            for group in tenant.groups.values()
            if tenant.find_group(group.chat_id) and is_member(tenant, group, call) and not group.dissolved
        ]

    def _summary(self, group: Group, call: Call) -> JsonObject:
        """The members of a group in lists. A bot as owner is not named."""
        owner = self._tenant.people.get(group.owner_id)
        id_type = user_id_type(call)
        named = {} if owner is None else {"owner_id": getattr(owner, id_type), "owner_id_type": id_type}
        return {
            "chat_id": group.chat_id,
            "avatar": "https://open.feishu.cn/avatar/sandbox.png",
            "name": group.name,
            "description": group.description,
            **named,
            "external": False,
            "tenant_key": self._tenant.settings.tenant_key,
            "chat_status": "dissolved" if group.dissolved else "normal",
        }

    def _created_json(self, group: Group, call: Call) -> JsonObject:
        found = self._summary(group, call)
        names = {"zh_cn": group.name, "en_us": group.en_name}
        return {**found, "i18n_names": names, "chat_mode": "group", **_options(group.options)}

    def _read_members(self, body: JsonObject, id_type: str, owner_id: str) -> list[str]:
        """The open_ids of the owner and the invited people. Raises 232043 (unknown) and 232022 (resigned)."""
        members = [owner_id] if owner_id else []
        for each in _ids(body, "user_id_list", PEOPLE_PER_CALL):
            person = find_member(self._tenant, id_type, each, code=232043)
            if person.status is PersonStatus.RESIGNED:
                raise RefusedError(232022)
            if person.open_id not in members:
                members.append(person.open_id)
        return members

    def _read_options(self, body: JsonObject) -> dict[str, str]:
        """The settings in a request. Raises 232001 for a wrong value and 232041 for an unknown avatar."""
        avatar = optional_text(body, "avatar")
        if avatar and avatar not in self._tenant.images:
            raise RefusedError(232041)
        found: dict[str, str] = {}
        for name, allowed in OPTIONS.items():
            value = optional_text(body, name)
            if value and value not in allowed:
                raise RefusedError(232001, f"ext={name} must be one of {', '.join(allowed)}")
            if value:
                found[name] = value
        return found


def _options(options: Mapping[str, str]) -> dict[str, str]:
    return {name: options.get(name, allowed[0]) for name, allowed in OPTIONS.items()}


def _english_name(body: JsonObject) -> str:
    names = body.get("i18n_names")
    return str(names.get("en_us") or "") if isinstance(names, dict) else ""


def _ids(body: JsonObject, name: str, maximum: int) -> list[str]:
    """A list of ids. Raises 9499 (type) and 99992402 (too many)."""
    ids = body.get(name) or []
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise wrong_type(name, ids)
    if len(ids) > maximum:
        raise bad_field(name, f"at most {maximum} entries", len(ids))
    return ids
