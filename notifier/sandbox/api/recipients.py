"""Finds messages and the chat of a `receive_id`, or the error why the bot cannot use them."""

from notifier.sandbox.api.gateway import Call
from notifier.sandbox.error_codes import RefusedError, bad_field
from notifier.sandbox.tenant import Group, Message, PersonStatus, Tenant, TenantPerson

RECEIVE_ID_TYPES = ("open_id", "union_id", "user_id", "email", "chat_id")
USER_ID_TYPES = ("open_id", "union_id", "user_id")
_PREFIXES = {"open_id": "ou_", "union_id": "on_", "chat_id": "oc_"}


def find_chat_id(tenant: Tenant, receive_id_type: str, receive_id: str) -> str:
    """The chat_id of a recipient. Raises RefusedError with Feishu's code for this person or group."""
    if receive_id_type not in RECEIVE_ID_TYPES:
        raise bad_field("receive_id_type", f"must be one of {', '.join(RECEIVE_ID_TYPES)}", receive_id_type)
    if not receive_id.startswith(_PREFIXES.get(receive_id_type, "")):
        raise RefusedError(230034, f"ext={receive_id!r} is no {receive_id_type}")
    if receive_id_type == "chat_id":
        check_chat(tenant, receive_id)
        return receive_id
    person = find_person(tenant, receive_id_type, receive_id)
    _check_person(tenant, person)
    return person.chat_id


def check_chat(tenant: Tenant, chat_id: str) -> None:
    """Raises RefusedError when the bot cannot send to this chat."""
    group = tenant.find_group(chat_id)
    person = tenant.person_of_chat(chat_id) if group is None else None
    if group is not None:
        _check_group(tenant, group)
    elif person is not None:
        _check_person(tenant, person)
    else:
        raise RefusedError(99992356)


def check_readable(tenant: Tenant, chat_id: str) -> None:
    """Raises RefusedError when the bot cannot read this chat. It can read where it is not allowed to send."""
    group = tenant.find_group(chat_id)
    person = tenant.person_of_chat(chat_id) if group is None else None
    if group is not None:
        _check_membership(tenant, group)
    elif person is None:
        raise RefusedError(99992356)
    elif person.status is PersonStatus.RESIGNED or not tenant.is_available_to(person):
        raise RefusedError(230013)


def find_message(tenant: Tenant, message_id: str) -> Message:
    """The message with this id. Raises 99992354."""
    message = tenant.messages.get(message_id)
    if message is None:
        raise RefusedError(99992354)
    return message


def user_id_type(call: Call, code: int | None = None) -> str:
    """The type of the ids of people in the answer, open_id by default. Raises 99992402, or `code`."""
    id_type = call.query.get("user_id_type") or "open_id"
    if id_type not in USER_ID_TYPES:
        if code is not None:
            raise RefusedError(code)
        raise bad_field("user_id_type", f"must be one of {', '.join(USER_ID_TYPES)}", id_type)
    return id_type


def find_person(tenant: Tenant, id_type: str, person_id: str) -> TenantPerson:
    """The person with this id. Raises 99992361 for an open_id of another app, 99992351 or 230034 for an unknown id."""
    if id_type == "open_id" and tenant.is_foreign(person_id):
        raise RefusedError(99992361)
    for person in tenant.people.values():
        if getattr(person, id_type) == person_id:
            return person
    raise RefusedError(99992351 if id_type == "open_id" else 230034)


def _check_person(tenant: Tenant, person: TenantPerson) -> None:
    if person.status is not PersonStatus.RESIGNED and not tenant.is_available_to(person):
        raise RefusedError(230013)
    match person.status:
        case PersonStatus.RESIGNED:
            raise RefusedError(person.resigned_code)
        case PersonStatus.BOT_STOPPED:
            raise RefusedError(230053)
        case PersonStatus.BLOCKED:
            raise RefusedError(230035)
        case PersonStatus.ACTIVE | PersonStatus.OUT_OF_RANGE:
            return


def _check_membership(tenant: Tenant, group: Group) -> None:
    if group.dissolved:
        raise RefusedError(232009)
    if not tenant.has_bot(group):
        raise RefusedError(230002)


def _check_group(tenant: Tenant, group: Group) -> None:
    _check_membership(tenant, group)
    if group.muted:
        raise RefusedError(230018)
