"""Changes of groups that people make in Feishu's client. Each pushes its event to the bot in the group."""

from collections.abc import Iterable, Mapping

from notifier.sandbox.chat.events import chat_disbanded_event, chat_updated_event, member_event
from notifier.sandbox.chat.publish import Publish
from notifier.sandbox.event_types import (
    BOT_ADDED,
    BOT_DELETED,
    CHAT_DISBANDED,
    CHAT_UPDATED,
    USER_ADDED,
    USER_DELETED,
    USER_WITHDRAWN,
)
from notifier.sandbox.tenant import Group, Tenant, TenantPerson


class GroupActions:
    """Changes groups. `operator` is the person who makes the change. Each method returns the ids of its events."""

    def __init__(self, tenant: Tenant, publish: Publish) -> None:
        self._tenant = tenant
        self._publish = publish

    def set_switches(self, group: Group, switches: Mapping[str, bool]) -> list[str]:
        """Sets any of has_bot, muted and dissolved as the first member of the group.

        Without members nothing is pushed. The bot joins before the other changes and leaves after them.
        """
        if not group.members:
            for name, value in switches.items():
                setattr(group, name, value)
            return []
        operator, event_ids = self._tenant.people[group.members[0]], []
        has_bot = switches.get("has_bot", group.has_bot)
        if has_bot:
            event_ids += self.set_bot(group, operator, is_member=True)
        if "muted" in switches:
            event_ids += self.set_muted(group, operator, muted=switches["muted"])
        if switches.get("dissolved", False):
            event_ids += self.dissolve(group, operator)
        group.dissolved = switches.get("dissolved", group.dissolved)
        if not has_bot:
            event_ids += self.set_bot(group, operator, is_member=False)
        return event_ids

    def set_bot(self, group: Group, operator: TenantPerson, *, is_member: bool) -> list[str]:
        """Adds the bot to the group or removes it."""
        if group.has_bot == is_member:
            return []
        group.has_bot = is_member
        if not self._tenant.console.live.bot:
            return []
        event = member_event(self._tenant, group, operator)
        return self._publish(BOT_ADDED if is_member else BOT_DELETED, event, None)

    def add_members(self, group: Group, open_ids: Iterable[str], operator: TenantPerson) -> list[str]:
        """Adds people who are not in the group yet."""
        added = [open_id for open_id in dict.fromkeys(open_ids) if open_id not in group.members]
        group.members = [*group.members, *added]
        return self._push_members(USER_ADDED, group, added, operator)

    def remove_members(self, group: Group, open_ids: Iterable[str], operator: TenantPerson) -> list[str]:
        """Removes people, or lets the operator leave."""
        removed = [open_id for open_id in dict.fromkeys(open_ids) if open_id in group.members]
        group.members = [open_id for open_id in group.members if open_id not in removed]
        return self._push_members(USER_DELETED, group, removed, operator)

    def withdraw_members(self, group: Group, open_ids: Iterable[str], operator: TenantPerson) -> list[str]:
        """Takes back that the operator added these people."""
        removed = [open_id for open_id in dict.fromkeys(open_ids) if open_id in group.members]
        group.members = [open_id for open_id in group.members if open_id not in removed]
        return self._push_members(USER_WITHDRAWN, group, removed, operator)

    def rename(self, group: Group, name: str, operator: TenantPerson) -> list[str]:
        """Changes the name of the group."""
        before, group.name = group.name, name
        if before == name:
            return []
        return self._push_update(group, {"name": before}, {"name": name}, operator)

    def set_muted(self, group: Group, operator: TenantPerson, *, muted: bool) -> list[str]:
        """Changes whether only the owner may send, so that the bot may not."""
        before, group.muted = group.muted, muted
        if before == muted:
            return []
        names = {False: "all_members", True: "only_owner"}
        return self._push_update(
            group,
            {"moderation_permission": names[before]},
            {"moderation_permission": names[muted]},
            operator,
        )

    def dissolve(self, group: Group, operator: TenantPerson) -> list[str]:
        """Deletes the group."""
        if group.dissolved:
            return []
        group.dissolved = True
        if not self._reaches_bot(group):
            return []
        return self._publish(CHAT_DISBANDED, chat_disbanded_event(self._tenant, group, operator), None)

    def _push_members(
        self, event_type: str, group: Group, open_ids: list[str], operator: TenantPerson
    ) -> list[str]:
        if not open_ids or not self._reaches_bot(group):
            return []
        people = [self._tenant.people[open_id] for open_id in open_ids]
        return self._publish(event_type, member_event(self._tenant, group, operator, people), None)

    def _push_update(
        self, group: Group, before: dict[str, object], after: dict[str, object], operator: TenantPerson
    ) -> list[str]:
        if not self._reaches_bot(group):
            return []
        event = chat_updated_event(self._tenant, group, operator, before=before, after=after)
        return self._publish(CHAT_UPDATED, event, None)

    def _reaches_bot(self, group: Group) -> bool:
        return self._tenant.console.live.bot and self._tenant.has_bot(group)
