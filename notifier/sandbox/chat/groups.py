"""Changes of groups that people make in Feishu's client, and their events for the bot in the group."""

from collections.abc import Iterable
from dataclasses import dataclass

from notifier.sandbox.chat.events import chat_disbanded_event, chat_updated_event, member_event
from notifier.sandbox.chat.publish import Publish
from notifier.sandbox.event_types import (
    BOT_ADDED,
    BOT_DELETED,
    CHAT_DISBANDED,
    CHAT_UPDATED,
    USER_ADDED,
    USER_DELETED,
)
from notifier.sandbox.tenant import Group, Tenant, TenantPerson

MODERATION = {False: "all_members", True: "only_owner"}
"""Who may send, by `Group.muted`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupState:
    """What the events of a group report when it changes."""

    name: str  # as shown to members
    members: tuple[str, ...]  # open_ids
    has_bot: bool  # the bot is a member
    muted: bool  # only the owner may send
    dissolved: bool  # the group was deleted


def read_group(group: Group) -> GroupState:
    """The state of a group now."""
    return GroupState(
        name=group.name,
        members=tuple(group.members),
        has_bot=group.has_bot,
        muted=group.muted,
        dissolved=group.dissolved,
    )


class GroupActions:
    """Pushes the events of changed groups. Each method returns the ids of its events."""

    def __init__(self, tenant: Tenant, publish: Publish) -> None:
        self._tenant = tenant
        self._publish = publish

    def set_bot(self, group: Group, operator: TenantPerson, *, is_member: bool) -> list[str]:
        """Adds the bot to the group or removes it."""
        if group.has_bot == is_member:
            return []
        group.has_bot = is_member
        return self._push_bot(group, operator)

    def push_changes(self, group: Group, before: GroupState) -> list[str]:
        """Pushes what was changed since `before`, as done by the first member who was in the group all the time.

        Nothing is pushed without such a member. The bot joins before the other changes and leaves after them.
        """
        staying = [one for one in group.members if one in before.members and one in self._tenant.people]
        if not staying or not self._tenant.console.live.bot:
            return []
        operator, event_ids = self._tenant.people[staying[0]], []
        if group.has_bot and not before.has_bot:
            event_ids += self._push_bot(group, operator)
        if group.has_bot or before.has_bot:
            event_ids += self._push_contents(group, before, operator)
        if before.has_bot and not group.has_bot:
            event_ids += self._push_bot(group, operator)
        return event_ids

    def _push_contents(self, group: Group, before: GroupState, operator: TenantPerson) -> list[str]:
        event_ids = []
        if group.name != before.name:
            event_ids += self._push_update(group, {"name": before.name}, {"name": group.name}, operator)
        if group.muted != before.muted:
            old, new = ({"moderation_permission": MODERATION[one.muted]} for one in (before, group))
            event_ids += self._push_update(group, dict(old), dict(new), operator)
        added = [one for one in group.members if one not in before.members]
        removed = [one for one in before.members if one not in group.members]
        event_ids += self._push_members(USER_ADDED, group, added, operator)
        event_ids += self._push_members(USER_DELETED, group, removed, operator)
        if group.dissolved and not before.dissolved:
            event = chat_disbanded_event(self._tenant, group, operator)
            event_ids += self._publish(CHAT_DISBANDED, event, None)
        return event_ids

    def _push_bot(self, group: Group, operator: TenantPerson) -> list[str]:
        if not self._tenant.console.live.bot:
            return []
        event = member_event(self._tenant, group, operator)
        return self._publish(BOT_ADDED if group.has_bot else BOT_DELETED, event, None)

    def _push_members(
        self, event_type: str, group: Group, open_ids: Iterable[str], operator: TenantPerson
    ) -> list[str]:
        people = [self._tenant.people[open_id] for open_id in open_ids if open_id in self._tenant.people]
        if not people:
            return []
        return self._publish(event_type, member_event(self._tenant, group, operator, people), None)

    def _push_update(
        self, group: Group, before: dict[str, object], after: dict[str, object], operator: TenantPerson
    ) -> list[str]:
        event = chat_updated_event(self._tenant, group, operator, before=before, after=after)
        return self._publish(CHAT_UPDATED, event, None)
