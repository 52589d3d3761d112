"""The kinds of ids of people in requests, and people found by them."""

from notifier.sandbox.api.gateway import Call
from notifier.sandbox.error_codes import bad_field
from notifier.sandbox.tenant import Tenant, TenantPerson

ID_TYPES = ("open_id", "union_id", "user_id")


def user_id_type(call: Call, name: str = "user_id_type") -> str:
    """The kind of id that the request uses for people. Raises 99992402."""
    id_type = call.query.get(name, "open_id")
    if id_type not in ID_TYPES:
        raise bad_field(name, f"must be one of {', '.join(ID_TYPES)}", id_type)
    return id_type


def find_person_by(tenant: Tenant, id_type: str, person_id: str) -> TenantPerson | None:
    """The person with an id of this kind; None without one, and for an open_id of another app."""
    if id_type == "open_id" and tenant.is_foreign(person_id):
        return None
    return next((one for one in tenant.people.values() if getattr(one, id_type) == person_id), None)
