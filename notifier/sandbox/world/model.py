"""The world as data: the entries of a world file, their types and what refers to what.

People have an `id` here, from which their open_ids, union_id and private chats are made.
"""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from notifier.sandbox.accounts import CURRENCY_FORMS, BadBalanceChangeError, parse_cash
from notifier.sandbox.app_console import AppSettings, BadConsoleChangeError, checked_setting
from notifier.sandbox.tenant import ROOT_DEPARTMENT, PersonStatus

Location = tuple[str | int, ...]
"""Keys and numbers from the start of the data to a value."""
Fault = tuple[Location, str]
"""A place in the data, and what is wrong there with what is allowed."""


def _matching(pattern: str, allowed: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"must be {allowed}, not {value!r:.60}")
        return value

    return AfterValidator(check)


def _check_cash(cash: dict[str, str]) -> dict[str, str]:
    try:
        parse_cash(cash)
    except BadBalanceChangeError as error:
        raise ValueError(str(error)) from error
    return cash


def _amounts_as_text(cash: object) -> object:
    """Amounts can be numbers in a file."""
    if not isinstance(cash, dict):
        return cash
    return {
        key: str(value) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else value
        for key, value in cash.items()
    }


def _check_console(settings: dict[str, Any]) -> dict[str, Any]:
    for name, value in settings.items():
        if name not in AppSettings.__slots__:
            raise ValueError(f"there is no setting {name!r}; allowed: {', '.join(AppSettings.__slots__)}")
        try:
            checked_setting(name, value)
        except BadConsoleChangeError as error:
            raise ValueError(str(error)) from error
    return settings


EntryId = Annotated[str, _matching("[A-Za-z0-9_-]{1,64}", "letters, digits, _ and -, such as lin")]
ChatId = Annotated[str, _matching("oc_[A-Za-z0-9_]{1,64}", "a text that starts with oc_, such as oc_team")]
AppId = Annotated[str, _matching("cli_[0-9a-f]{16}", "cli_ and 16 hex digits, such as cli_5a4db0c05a4db0c0")]
AccountId = Annotated[str, _matching("[0-9]{1,19}", "a number in quotation marks")]
Name = Annotated[str, _matching(r"(?s).*\S.*", "a text that is not empty")]
Email = Annotated[str, _matching(r"[^@\s]+@[^@\s]+", "an e-mail address")]
Mobile = Annotated[str, _matching(r"\+[0-9]{5,19}", "a number with its country code, such as +8613800000001")]
Cash = Annotated[dict[str, str], BeforeValidator(_amounts_as_text), AfterValidator(_check_cash)]
Console = Annotated[dict[str, Any], AfterValidator(_check_console)]
CurrencyForm = Annotated[str, _matching("|".join(CURRENCY_FORMS), "one of: " + ", ".join(CURRENCY_FORMS))]
AppStatus = Literal["active", "bot_stopped", "out_of_range", "blocked"]


class WorldValue(BaseModel):
    """Base of all entries."""

    model_config = ConfigDict(extra="forbid", strict=True)


class DepartmentEntry(WorldValue):
    """A department. parent: the department above. leader: a person."""

    id: EntryId
    name: Name
    en_name: str = ""
    parent: str = ROOT_DEPARTMENT
    leader: str = ""


class PersonEntry(WorldValue):
    """A person. What is left out is made from the id."""

    id: EntryId
    name: Name
    en_name: str = ""
    email: Email | None = None
    mobile: Mobile | None = None
    user_id: Name | None = None
    departments: list[str] = Field(default_factory=list)
    is_resigned: bool = False
    resigned_code: Literal[230029, 230013] = 230029


class GroupEntry(WorldValue):
    """A group. members: people."""

    chat_id: ChatId
    name: Name
    en_name: str = ""
    members: list[str] = Field(default_factory=list)
    dissolved: bool = False


class AccountEntry(WorldValue):
    """A referral account of an app."""

    account_id: AccountId | None = None
    person: str
    points: int = 0
    cash: Cash = Field(default_factory=dict)
    deactivated: bool = False
    currency_form: CurrencyForm = "iso"


class MenuEntry(WorldValue):
    """An item of the menu of a bot. key: its event_key."""

    key: Name
    name: Name
    en_name: str = ""


class AppEntry(WorldValue):
    """An app in its tenant.

    console: settings of the developer console, None for all of them. published: the settings in force, None for those
    of `console`; {} with is_published false. groups: those with its bot. muted_in: those where it may not send.
    statuses: of people whom the bot cannot reach. menu: of the bot, None for the sample menu.
    """

    app_id: AppId
    app_secret: Name | None = None
    name: Name = "Sample bot"
    menu: list[MenuEntry] | None = None
    console: Console | None = None
    published: Console | None = None
    is_published: bool = True
    groups: list[str] = Field(default_factory=list)
    muted_in: list[str] = Field(default_factory=list)
    statuses: dict[str, AppStatus] = Field(default_factory=dict)
    accounts: list[AccountEntry] = Field(default_factory=list)


class TenantEntry(WorldValue):
    """A tenant with its apps, at least one."""

    key: Name
    departments: list[DepartmentEntry] = Field(default_factory=list)
    people: list[PersonEntry] = Field(default_factory=list)
    groups: list[GroupEntry] = Field(default_factory=list)
    apps: list[AppEntry] = Field(min_length=1)


class WorldEntry(WorldValue):
    """The whole world. The first app of the first tenant answers requests that name no app."""

    tenants: list[TenantEntry] = Field(min_length=1)


def find_broken_references(world: WorldEntry) -> list[Fault]:
    """Names that nothing has, names that two things have, and departments that contain themselves."""
    faults: list[Fault] = []
    apps = [
        (("tenants", number, "apps", place, "app_id"), app.app_id)
        for number, tenant in enumerate(world.tenants)
        for place, app in enumerate(tenant.apps)
    ]
    keys = [(("tenants", number, "key"), tenant.key) for number, tenant in enumerate(world.tenants)]
    faults += [*_repeated(apps), *_repeated(keys)]
    for number, tenant in enumerate(world.tenants):
        faults += [(("tenants", number, *place), text) for place, text in _tenant_faults(tenant)]
    return faults


def _tenant_faults(tenant: TenantEntry) -> Iterator[Fault]:
    departments = [one.id for one in tenant.departments]
    people = [one.id for one in tenant.people]
    groups = [one.chat_id for one in tenant.groups]
    for kind, field, ids in (
        ("departments", "id", departments),
        ("people", "id", people),
        ("groups", "chat_id", groups),
    ):
        yield from _repeated([((kind, place, field), one) for place, one in enumerate(ids)])
    parents = {one.id: one.parent for one in tenant.departments}
    for place, department in enumerate(tenant.departments):
        here: Location = ("departments", place)
        yield from _unknown((*here, "parent"), [department.parent], [ROOT_DEPARTMENT, *departments])
        yield from _unknown((*here, "leader"), [department.leader], ["", *people])
        if _contains_itself(department.id, parents):
            yield (*here, "parent"), f"the department {department.id!r} contains itself"
    for place, person in enumerate(tenant.people):
        yield from _unknown(("people", place, "departments"), person.departments, departments)
    for place, group in enumerate(tenant.groups):
        yield from _unknown(("groups", place, "members"), group.members, people)
    for place, app in enumerate(tenant.apps):
        yield from _app_faults(app, ("apps", place), people, groups)


def _app_faults(
    app: AppEntry, here: Location, people: Sequence[str], groups: Sequence[str]
) -> Iterator[Fault]:
    yield from _unknown((*here, "groups"), app.groups, groups)
    yield from _unknown((*here, "muted_in"), app.muted_in, groups)
    yield from _unknown((*here, "statuses"), list(app.statuses), people)
    for number, account in enumerate(app.accounts):
        yield from _unknown((*here, "accounts", number, "person"), [account.person], people)
    yield from _repeated(
        [
            ((*here, "accounts", number, "account_id"), account.account_id)
            for number, account in enumerate(app.accounts)
            if account.account_id
        ]
    )


def _contains_itself(department_id: str, parents: dict[str, str]) -> bool:
    seen = [department_id]
    while (above := parents.get(seen[-1], ROOT_DEPARTMENT)) not in seen:
        if above == ROOT_DEPARTMENT:
            return False
        seen.append(above)
    return above == department_id


def _unknown(place: Location, names: Sequence[str], known: Sequence[str]) -> Iterator[Fault]:
    for name in names:
        if name not in known:
            yield place, f"there is no {name!r} in this tenant; allowed: {_listed(known)}"


def _repeated(named: Sequence[tuple[Location, str]]) -> list[Fault]:
    values = [value for _, value in named]
    return [
        (place, f"{value!r} is there twice; each must be there once")
        for number, (place, value) in enumerate(named)
        if value in values[:number]
    ]


def _listed(names: Sequence[str], limit: int = 20) -> str:
    shown = ", ".join(name for name in names[:limit] if name) or "nothing"
    return f"{shown}, ..." if len(names) > limit else shown


def describe_error(model: type[BaseModel], error: Any) -> str:  # noqa: ANN401 - a dict of pydantic
    """One sentence for an error of pydantic: what is wrong and what is allowed."""
    kind, value = error["type"], error.get("input")
    allowed = {
        "string_type": "text",
        "list_type": "a list",
        "bool_type": "true or false",
        "int_type": "a whole number",
        "dict_type": "keys with values",
        "model_type": "keys with values",
        "too_short": "at least one entry",
    }
    name = str(error["loc"][-1]) if error["loc"] else "it"
    if kind == "extra_forbidden":
        fields = _model_at(model, error["loc"][:-1]).model_fields
        return f"there is no key {name!r} here; allowed: {', '.join(fields)}"
    if kind == "missing":
        return f"{name!r} is required"
    if kind == "value_error":
        return (
            f"{name} {error['ctx']['error']}"
            if str(error["ctx"]["error"]).startswith("must")
            else str(error["ctx"]["error"])
        )
    if kind == "literal_error":
        return f"{name} must be {error['ctx']['expected']}, not {value!r:.60}"
    return f"{name} must be {allowed.get(kind, error['msg'])}, not {value!r:.60}"


def _model_at(model: type[BaseModel], place: Location) -> type[BaseModel]:
    for part in place:
        if isinstance(part, str) and part in model.model_fields:
            found = next(_models_in(model.model_fields[part].annotation), None)
            model = found or model
    return model


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def status_of_app(status: PersonStatus) -> AppStatus | None:
    """The entry of `statuses` for a person, None for somebody whom the bot can reach or who resigned."""
    for name in get_args(AppStatus):
        if name == status.value and status is not PersonStatus.ACTIVE:
            return name
    return None
