"""Links the apps of one tenant: they share departments, groups, the messages of groups, and people but for their ids.

Each app keeps its own objects, so a call of one app needs to know nothing of the others. A tenant with one app is
left as it is.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableSequence, Sequence
from dataclasses import replace
from typing import SupportsIndex, TypeVar, overload

from notifier.sandbox.tenant import Group, Message, PersonStatus, Tenant, TenantPerson

_V = TypeVar("_V")


class LinkedDict(dict[str, _V]):
    """A dict that reports what is added and removed."""

    def __init__(
        self,
        values: Mapping[str, _V],
        *,
        on_add: Callable[[_V], None],
        on_remove: Callable[[_V], None] = lambda _value: None,
    ) -> None:
        super().__init__(values)
        self._on_add = on_add
        self._on_remove = on_remove

    def __setitem__(self, key: str, value: _V) -> None:
        super().__setitem__(key, value)
        self._on_add(value)

    def __delitem__(self, key: str) -> None:
        value = self[key]
        super().__delitem__(key)
        self._on_remove(value)

    def update(self, *values: Mapping[str, _V], **named: _V) -> None:  # type: ignore[override]
        """As of a dict."""
        for key, value in [pair for each in (*values, named) for pair in each.items()]:
            self[key] = value

    def pop(self, key: str, *default: object) -> object:  # type: ignore[override]
        """As of a dict."""
        if key not in self:
            return super().pop(key, *default)
        value = self[key]
        del self[key]
        return value

    def clear(self) -> None:
        """As of a dict."""
        for key in list(self):
            del self[key]


class MemberList(MutableSequence[str]):
    """The members of a group as the open_ids of one app. The list of their union_ids is shared by all apps."""

    def __init__(self, union_ids: list[str], tenant: Tenant) -> None:
        self._union_ids = union_ids
        self._tenant = tenant

    def _open_ids(self) -> list[str]:
        known = {person.union_id: person.open_id for person in self._tenant.people.values()}
        return [known.get(union_id, union_id) for union_id in self._union_ids]

    def _union_id(self, open_id: str) -> str:
        return union_id_of(self._tenant, open_id)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        return self._open_ids()[place]

    @overload
    def __setitem__(self, place: int, value: str) -> None: ...
    @overload
    def __setitem__(self, place: slice, value: Iterable[str]) -> None: ...
    def __setitem__(self, place: int | slice, value: str | Iterable[str]) -> None:
        if isinstance(place, slice):
            self._union_ids[place] = [self._union_id(one) for one in value]
        else:
            self._union_ids[place] = self._union_id(str(value))

    def __delitem__(self, place: SupportsIndex | slice) -> None:
        del self._union_ids[place]

    def __len__(self) -> int:
        return len(self._union_ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self._open_ids())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._open_ids() == list(other)

    __hash__ = None  # type: ignore[assignment]

    def insert(self, index: int, value: str) -> None:
        """As of a list."""
        self._union_ids.insert(index, self._union_id(value))


def union_id_of(tenant: Tenant, open_id: str) -> str:
    """The id that a person has for all apps; the same text for an id that nobody has."""
    person = tenant.people.get(open_id)
    return open_id if person is None else person.union_id


def link_tenants(tenants: Sequence[Tenant]) -> None:
    """Links the apps of one tenant. The first one's people, groups and departments are those of all.

    Call it again after an app was added, or after the objects of an app were replaced.
    """
    if len(tenants) < 2:
        return
    first = tenants[0]
    for tenant in tenants:
        others = [each for each in tenants if each is not tenant]
        tenant.people = LinkedDict(
            tenant.people, on_add=_adder(tenants, others, _link_person), on_remove=_person_remover(others)
        )
        tenant.groups = LinkedDict(
            tenant.groups, on_add=_adder(tenants, others, _link_group), on_remove=_group_remover(others)
        )
        tenant.messages = LinkedDict(tenant.messages, on_add=_message_adder(others))
    union_ids = {person.union_id for person in first.people.values()}
    for tenant in tenants[1:]:
        for open_id, person in list(tenant.people.items()):
            if person.union_id not in union_ids:
                dict.__delitem__(tenant.people, open_id)
        for chat_id in tenant.groups.keys() - first.groups.keys():
            dict.__delitem__(tenant.groups, chat_id)
    for person in list(first.people.values()):
        _link_person(tenants, first, person)
    for group in list(first.groups.values()):
        _link_group(tenants, first, group)
    _copy_departments(tenants)
    _share_messages(tenants)


def _copy_departments(tenants: Sequence[Tenant]) -> None:
    """Departments change only as a whole, by world/contents.py, which links the apps again."""
    first = tenants[0]
    for tenant in tenants[1:]:
        open_ids = {person.union_id: person.open_id for person in tenant.people.values()}
        tenant.departments = {
            key: replace(one, leader_open_id=open_ids.get(union_id_of(first, one.leader_open_id), ""))
            for key, one in first.departments.items()
        }


def _adder(
    tenants: Sequence[Tenant], others: Sequence[Tenant], link: Callable[[Sequence[Tenant], Tenant, _V], None]
) -> Callable[[_V], None]:
    tenant = next(each for each in tenants if each not in others)

    def add(value: _V) -> None:
        link(tenants, tenant, value)
        for other in others:
            other.bump_revision()

    return add


def _link_person(tenants: Sequence[Tenant], owner: Tenant, person: TenantPerson) -> None:
    """Gives each app its object of a person, and makes them known to each other."""
    found = [_person_of(tenant, person, owner) for tenant in tenants]
    for tenant, each in zip(tenants, found, strict=True):
        dict.__setitem__(tenant.people, each.open_id, each)
        each.peers = list(found)
    for name in person.SHARED_FIELDS:
        setattr(person, name, getattr(person, name))
    if person.status is PersonStatus.RESIGNED:
        person.status = PersonStatus.RESIGNED


def _person_of(tenant: Tenant, person: TenantPerson, owner: Tenant) -> TenantPerson:
    if tenant is owner:
        return person
    known = next((each for each in tenant.people.values() if each.union_id == person.union_id), None)
    return known or TenantPerson(
        open_id=_local(person.open_id, owner, tenant),
        union_id=person.union_id,
        user_id=person.user_id,
        name=person.name,
        en_name=person.en_name,
        email=person.email,
        mobile=person.mobile,
        chat_id=_local(person.chat_id, owner, tenant),
    )


def _local(known: str, owner: Tenant, tenant: Tenant) -> str:
    """The id for another app."""
    return known.removesuffix(owner.id_suffix) + tenant.id_suffix


def _link_group(tenants: Sequence[Tenant], owner: Tenant, group: Group) -> None:
    """Gives each app its object of a group. The bots of other apps are not in a new group."""
    union_ids = [union_id_of(owner, open_id) for open_id in group.members]
    peers = []
    for tenant in tenants:
        own = group if tenant is owner else tenant.groups.get(group.chat_id)
        if own is None:
            own = Group(chat_id=group.chat_id, name=group.name, members=[], has_bot=False)
        object.__setattr__(own, "members", MemberList(union_ids, tenant))
        dict.__setitem__(tenant.groups, own.chat_id, own)
        peers.append(own)
    for own in peers:
        own.peers = list(peers)
    for name in group.SHARED_FIELDS:
        setattr(group, name, getattr(group, name))


def _person_remover(others: Iterable[Tenant]) -> Callable[[TenantPerson], None]:
    def remove(removed: TenantPerson) -> None:
        for other in others:
            for open_id, person in list(other.people.items()):
                if person.union_id == removed.union_id:
                    dict.__delitem__(other.people, open_id)
            other.bump_revision()

    return remove


def _group_remover(others: Iterable[Tenant]) -> Callable[[Group], None]:
    def remove(removed: Group) -> None:
        for other in others:
            if removed.chat_id in other.groups:
                dict.__delitem__(other.groups, removed.chat_id)
            other.bump_revision()

    return remove


def _message_adder(others: Iterable[Tenant]) -> Callable[[Message], None]:
    """A message of a group is there for each app whose bot is in the group at that moment. Our choice."""

    def add(message: Message) -> None:
        for other in others:
            group = other.groups.get(message.chat_id)
            if group is not None and group.has_bot:
                dict.__setitem__(other.messages, message.message_id, message)
                other.on_shared_message(message)
                other.bump_revision()

    return add


def _share_messages(tenants: Sequence[Tenant]) -> None:
    """Makes apps that were restored from a file share the objects of their messages again."""
    known: dict[str, Message] = {}
    for tenant in tenants:
        for message_id, message in tenant.messages.items():
            dict.__setitem__(tenant.messages, message_id, known.setdefault(message_id, message))
