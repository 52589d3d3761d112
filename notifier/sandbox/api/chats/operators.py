"""Who makes a call about a group, the bot or a person, and what they may do."""

from notifier.sandbox.api.gateway import Call
from notifier.sandbox.api.parameters import find_person_by
from notifier.sandbox.error_codes import RefusedError
from notifier.sandbox.tenant import Group, Tenant, TenantPerson

CHAT_SCOPES = ("im:chat", "im:chat:readonly", "im:chat:read")
OWNER_SCOPE = "im:chat:operate_as_owner"
BOT_OFF = 232025
"""The code of a chat call without the ability Bot."""


def find_group(tenant: Tenant, call: Call, *, is_dissolved_ok: bool = False) -> Group:
    """The group in the path of the call. Raises 232006 (unknown) and 232009 (dissolved)."""
    group = tenant.find_group(call.path["chat_id"])
    if group is None:
        raise RefusedError(232006)
    if group.dissolved and not is_dissolved_ok:
        raise RefusedError(232009)
    return group


def is_member(tenant: Tenant, group: Group, call: Call) -> bool:
    """Whether the caller is in the group."""
    return call.open_id in group.members if call.open_id else tenant.has_bot(group)


def check_member(tenant: Tenant, group: Group, call: Call) -> None:
    """Raises 232011 when the caller is not in the group."""
    if not is_member(tenant, group, call):
        raise RefusedError(232011)


def is_manager(tenant: Tenant, group: Group, call: Call) -> bool:
    """Whether the caller owns the group, or is the app that created it and has the scope to act as its owner."""
    if call.open_id:
        return group.owner_id == call.open_id
    return not group.owner_id or (group.created_by_app and OWNER_SCOPE in tenant.granted_scopes)


def find_member(tenant: Tenant, id_type: str, person_id: str, *, code: int) -> TenantPerson:
    """The person with this id. Raises RefusedError with the code for an unknown id."""
    person = find_person_by(tenant, id_type, person_id)
    if person is None:
        raise RefusedError(code, f"ext={person_id}")
    return person
