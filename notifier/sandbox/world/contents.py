"""Reads the world of a running sandbox as data, and makes a running sandbox match data."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from pydantic import ValidationError

from notifier.sandbox.accounts import parse_cash
from notifier.sandbox.app_console import AppConsole, AppSettings, checked_setting
from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.sandbox import Sandbox
from notifier.sandbox.settings import SAMPLE_MENU
from notifier.sandbox.tenant import (
    DEACTIVATED,
    USABLE,
    Account,
    Department,
    Group,
    PersonStatus,
    Tenant,
    TenantPerson,
)
from notifier.sandbox.world.model import (
    AccountEntry,
    AppEntry,
    DepartmentEntry,
    GroupEntry,
    MenuEntry,
    PersonEntry,
    TenantEntry,
    WorldEntry,
    status_of_app,
)
from notifier.sandbox.world.world import AppIdentity, World
from notifier.sandbox.world.world_file import describe_errors

UNION_PREFIX = "on_sandbox_"


def person_id(union_id: str) -> str:
    """The id of a person in the data, from the union_id."""
    return union_id.removeprefix(UNION_PREFIX)


def describe_world(world: World, *, with_hidden: bool = True) -> WorldEntry:
    """The world as data. `apply_world` of it in a new sandbox gives the same world.

    with_hidden: also the accounts that a running fault hides. Raises BadWorldError for what cannot stand in data,
    such as a mobile number that is no number.
    """
    try:
        return WorldEntry(
            tenants=[
                _describe_tenant(key, world, apps, with_hidden=with_hidden)
                for key, apps in world.tenants().items()
            ]
        )
    except ValidationError as error:
        raise describe_errors(WorldEntry, error) from error


def _describe_tenant(key: str, world: World, apps: list[Sandbox], *, with_hidden: bool) -> TenantEntry:
    tenant = apps[0].tenant
    secrets = {one.app_id: one.app_secret for one in world.identities()}
    return TenantEntry(
        key=key,
        departments=[
            DepartmentEntry(
                id=one.department_id,
                name=one.name,
                en_name=one.en_name,
                parent=one.parent_department_id,
                leader=_leader_id(tenant, one),
            )
            for one in tenant.departments.values()
        ],
        people=[describe_person(person) for person in tenant.people.values()],
        groups=[
            GroupEntry(
                chat_id=group.chat_id,
                name=group.name,
                en_name=group.en_name,
                members=[
                    person_id(tenant.people[one].union_id) for one in group.members if one in tenant.people
                ],
                dissolved=group.dissolved,
            )
            for group in tenant.groups.values()
        ],
        apps=[_describe_app(app, secrets[app.settings.app_id], with_hidden=with_hidden) for app in apps],
    )


def _leader_id(tenant: Tenant, department: Department) -> str:
    leader = tenant.people.get(department.leader_open_id)
    return "" if leader is None else person_id(leader.union_id)


def describe_person(person: TenantPerson) -> PersonEntry:
    """A person as data."""
    own_id = person_id(person.union_id)
    return PersonEntry(
        id=own_id,
        name=person.name,
        en_name="" if person.en_name == person.name else person.en_name,
        email=None if person.email == Tenant.derive_email(own_id) else person.email,
        mobile=person.mobile,
        user_id=None if person.user_id == Tenant.derive_user_id(own_id) else person.user_id,
        departments=list(person.department_ids),
        is_resigned=person.status is PersonStatus.RESIGNED,
        resigned_code=230013 if person.resigned_code == 230013 else 230029,
    )


def _describe_app(app: Sandbox, secret: str, *, with_hidden: bool) -> AppEntry:
    tenant, console = app.tenant, app.tenant.console
    accounts = {**(app.hidden_accounts if with_hidden else {}), **tenant.accounts}
    draft, published = console.draft, console.published
    statuses = {
        person_id(person.union_id): status
        for person in tenant.people.values()
        if (status := status_of_app(person.status)) is not None
    }
    return AppEntry(
        app_id=app.settings.app_id,
        app_secret=secret or None,
        name=app.settings.app_name,
        menu=_describe_menu(app),
        console=None if draft == _complete_console(app).draft else draft.to_json(),
        published=None if published is None or published == draft else published.to_json(),
        is_published=published is not None,
        groups=[group.chat_id for group in tenant.groups.values() if group.has_bot],
        muted_in=[group.chat_id for group in tenant.groups.values() if group.muted],
        statuses=statuses,
        accounts=[
            AccountEntry(
                account_id=account.account_id,
                person=person_id(tenant.people[account.open_id].union_id),
                points=account.points,
                cash={currency: str(amount) for currency, amount in account.cash.items()},
                deactivated=account.status != USABLE,
                currency_form=account.currency_form,
            )
            for account in accounts.values()
            if account.open_id in tenant.people
        ],
    )


def _describe_menu(app: Sandbox) -> list[MenuEntry] | None:
    menu = app.settings.bot_menu
    if menu == SAMPLE_MENU:
        return None
    return [MenuEntry(key=key, name=name, en_name=en_name) for key, name, en_name in menu]


def apply_world(world: World, entry: WorldEntry) -> None:
    """Makes the world match checked data. What is there in both keeps its messages, tokens and connections."""
    world.set_apps(
        [
            AppIdentity(
                app_id=app.app_id, app_secret=app.app_secret or "", name=app.name, tenant_key=tenant.key
            )
            for tenant in entry.tenants
            for app in tenant.apps
        ]
    )
    for tenant in entry.tenants:
        first = world.sandboxes[tenant.apps[0].app_id].tenant
        _apply_people(first, tenant)
        _apply_departments(first, tenant)
        _apply_groups(first, tenant)
    world.link()
    for tenant in entry.tenants:
        for app in tenant.apps:
            _apply_app(world.sandboxes[app.app_id], app)
    for sandbox in world.sandboxes.values():
        sandbox.forget_lost_chats()
        sandbox.tenant.bump_revision()


def _apply_departments(tenant: Tenant, entry: TenantEntry) -> None:
    open_ids = open_ids_by_person(tenant)
    tenant.departments.clear()
    for one in entry.departments:
        tenant.departments[one.id] = Department(
            department_id=one.id,
            open_department_id=f"od-sandbox_{one.id}",
            name=one.name,
            en_name=one.en_name,
            parent_department_id=one.parent,
            leader_open_id=open_ids[one.leader] if one.leader else "",
        )


def _apply_people(tenant: Tenant, entry: TenantEntry) -> None:
    wanted = {f"{UNION_PREFIX}{one.id}": one for one in entry.people}
    for open_id, person in list(tenant.people.items()):
        if person.union_id not in wanted:
            del tenant.people[open_id]
    known = {person.union_id: person for person in tenant.people.values()}
    for union_id, one in wanted.items():
        en_name = one.en_name or one.name
        person = known.get(union_id) or tenant.add_person(one.id, name=one.name, en_name=en_name)
        person.name, person.en_name = one.name, en_name
        person.email = one.email or Tenant.derive_email(one.id)
        person.mobile = one.mobile or person.mobile
        person.user_id = one.user_id or Tenant.derive_user_id(one.id)
        person.department_ids = list(one.departments)
        person.resigned_code = one.resigned_code
        if one.is_resigned:
            person.status = PersonStatus.RESIGNED
        elif person.status is PersonStatus.RESIGNED:
            person.status = PersonStatus.ACTIVE


def _apply_groups(tenant: Tenant, entry: TenantEntry) -> None:
    wanted = {one.chat_id: one for one in entry.groups}
    for chat_id in [chat_id for chat_id in tenant.groups if chat_id not in wanted]:
        del tenant.groups[chat_id]
    open_ids = open_ids_by_person(tenant)
    for chat_id, one in wanted.items():
        if chat_id not in tenant.groups:
            tenant.groups[chat_id] = Group(chat_id=chat_id, name=one.name, members=[], has_bot=False)
        group = tenant.groups[chat_id]
        group.name, group.en_name, group.dissolved = one.name, one.en_name, one.dissolved
        group.members = [open_ids[member] for member in one.members]


def open_ids_by_person(tenant: Tenant) -> Mapping[str, str]:
    """The open_ids for one app, by the ids of people in the data."""
    return {person_id(person.union_id): person.open_id for person in tenant.people.values()}


def _apply_app(app: Sandbox, entry: AppEntry) -> None:
    tenant = app.tenant
    menu = None if entry.menu is None else tuple((one.key, one.name, one.en_name) for one in entry.menu)
    app.settings.bot_menu = SAMPLE_MENU if menu is None else menu
    for group in tenant.groups.values():
        group.has_bot = group.chat_id in entry.groups
        group.muted = group.chat_id in entry.muted_in
    for person in tenant.people.values():
        if person.status is not PersonStatus.RESIGNED:
            person.status = PersonStatus(entry.statuses.get(person_id(person.union_id), "active"))
    tenant.console.draft = _read_settings(_complete_console(app).draft, entry.console)
    published = _read_settings(tenant.console.draft, entry.published)
    tenant.console.published = published if entry.is_published else None
    open_ids = open_ids_by_person(tenant)
    ids = {one.account_id for one in entry.accounts}
    kept = {account_id: account for account_id, account in tenant.accounts.items() if account_id in ids}
    tenant.accounts.clear()
    tenant.accounts.update(kept)
    for one in entry.accounts:
        account_id = one.account_id or tenant.next_account_id()
        account = tenant.accounts.setdefault(
            account_id, Account(account_id=account_id, open_id=open_ids[one.person])
        )
        account.open_id, account.points = open_ids[one.person], one.points
        account.cash = {currency: Decimal(amount) for currency, amount in parse_cash(one.cash).items()}
        account.status = DEACTIVATED if one.deactivated else USABLE
        account.currency_form = one.currency_form


def _complete_console(app: Sandbox) -> AppConsole:
    """The console of a new app that has every setting."""
    return Tenant(replace(app.settings, fresh=False, clock_file="")).console


def _read_settings(base: AppSettings, changes: JsonObject | None) -> AppSettings:
    """The settings with changes, of which each is checked already."""
    settings = base.copy()
    for name, value in (changes or {}).items():
        setattr(settings, name, checked_setting(name, value))
    return settings
