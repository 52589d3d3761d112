"""World: the people, groups, accounts and messages of the stand-in tenant. Plain state; no wire, no I/O."""

import asyncio
import itertools
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import TypeVar

from notifier.sandbox.clock import SandboxClock
from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.settings import SandboxSettings

_T = TypeVar("_T")


class PersonStatus(Enum):
    ACTIVE = "active"
    RESIGNED = "resigned"
    BOT_STOPPED = "bot_stopped"
    OUT_OF_RANGE = "out_of_range"
    BLOCKED = "blocked"


SAMPLE_PEOPLE: tuple[tuple[str, str, str, int, dict[str, str]], ...] = (
    ("lin", "林小满（示例）", "Lin Xiaoman (sample)", 120, {"CNY": "350.50"}),
    ("chen", "陈知行（示例）", "Chen Zhixing (sample)", 0, {"USD": "80.00"}),
    ("tanaka", "田中遥（示例）", "Tanaka Haruka (sample)", 40, {"JPY": "12000.00"}),
    ("zhou", "周未（示例）", "Zhou Wei (sample)", 0, {}),
)
"""(key, name, English name, points, cash by currency) of the people a fresh sandbox has. All are made up."""

USABLE, DEACTIVATED = 1, 2  # account status on the wire


@dataclass(slots=True, kw_only=True)
class TenantPerson:
    """resigned_code: 230029, or 230013, which the platform also answers for people who left."""

    open_id: str
    union_id: str
    user_id: str
    name: str
    en_name: str
    email: str
    mobile: str
    chat_id: str
    status: PersonStatus = PersonStatus.ACTIVE
    resigned_code: int = 230029


@dataclass(slots=True, kw_only=True)
class Group:
    chat_id: str
    name: str
    members: list[str]
    has_bot: bool = True
    muted: bool = False
    dissolved: bool = False


@dataclass(slots=True, kw_only=True)
class Account:
    """cash: balance by ISO currency. currency_form: how currencies are written on the wire."""

    account_id: str
    open_id: str
    status: int = USABLE
    points: int = 0
    cash: dict[str, Decimal] = field(default_factory=dict)
    currency_form: str = "iso"


@dataclass(slots=True, kw_only=True)
class Message:
    """content is the parsed JSON; content_text the string as it was sent."""

    message_id: str
    chat_id: str
    msg_type: str
    content: JsonObject
    content_text: str
    uuid: str | None
    create_time_ms: int
    update_time_ms: int
    parent_id: str | None = None
    recalled: bool = False
    has_pending_click: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One call as the stand-in saw it; code is None where no JSON answer with a code went out."""

    at_ms: int
    method: str
    path: str
    status: int
    code: int | None
    took_ms: int
    log_id: str

    def to_json(self) -> JsonObject:
        return {name: getattr(self, name) for name in self.__slots__}


class Tenant:
    """The tenant. All of it is touched from the server's loop only; `touch` tells whoever watches."""

    def __init__(self, settings: SandboxSettings) -> None:
        self.settings = settings
        self.clock = SandboxClock(settings.clock, settings.clock_file)
        self.people: dict[str, TenantPerson] = {}
        self.groups: dict[str, Group] = {}
        self.accounts: dict[str, Account] = {}
        self.messages: dict[str, Message] = {}
        self.files: dict[str, JsonObject] = {}
        self.granted_scopes = set(settings.granted_scopes)
        self.requests: list[RequestRecord] = []
        self.refusals: Counter[int] = Counter()
        self.revision = 0
        self.watchers: list[Callable[[int], None]] = []
        self.stopping = asyncio.Event()

    def bump_revision(self) -> None:
        """Something changed."""
        self.revision += 1
        for watcher in list(self.watchers):
            watcher(self.revision)

    def person_of_chat(self, chat_id: str) -> TenantPerson | None:
        return next((person for person in self.people.values() if person.chat_id == chat_id), None)

    def add_person(self, key: str, *, name: str, en_name: str) -> TenantPerson:
        """A person with ids, addresses and a chat made from `key`."""
        number = len(self.people) + 1
        person = TenantPerson(
            open_id=f"ou_sandbox_{key}",
            union_id=f"on_sandbox_{key}",
            user_id=f"sandbox_{key}",
            name=name,
            en_name=en_name,
            email=f"{key.replace('_', '.')}@sandbox.example",
            mobile=f"+861380000{number:04d}",
            chat_id=f"oc_sandbox_p2p_{key}",
        )
        self.people[person.open_id] = person
        return person

    def add_account(self, open_id: str) -> Account:
        account = Account(account_id=str(7_000_000_000_000_000_001 + len(self.accounts)), open_id=open_id)
        self.accounts[account.account_id] = account
        return account

    def chat_messages(self, chat_id: str) -> list[Message]:
        return [message for message in self.messages.values() if message.chat_id == chat_id]


def drop_oldest(
    kept: dict[str, _T], limit: int, *, finished: Callable[[_T], bool] = lambda _: True
) -> list[str]:
    """Takes out the oldest that are finished, so that `most` are left; gives their keys. most 0: takes out nothing.

    Waits until there are twice as many, so that a long run spends next to nothing on it.
    """
    if not limit or len(kept) < 2 * limit:
        return []
    old = itertools.islice(kept.items(), len(kept) - limit)
    gone = [key for key, each in old if finished(each)]
    for key in gone:
        del kept[key]
    return gone


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(16)}"


def build_sample_tenant(settings: SandboxSettings) -> Tenant:
    """The tenant that a fresh sandbox starts with: four people, two groups, and `extra_accounts` for load."""
    tenant = Tenant(settings)
    for key, name, en_name, points, cash in SAMPLE_PEOPLE:
        account = tenant.add_account(tenant.add_person(key, name=name, en_name=en_name).open_id)
        account.points = points
        account.cash = {currency: Decimal(amount) for currency, amount in cash.items()}
    everyone = list(tenant.people)
    for chat_id, name in (
        ("oc_sandbox_hr", "招聘奖励通知（示例）"),
        ("oc_sandbox_fallback", "奖励兜底群（示例）"),
    ):
        tenant.groups[chat_id] = Group(chat_id=chat_id, name=name, members=everyone)
    for number in range(1, settings.extra_accounts + 1):
        person = tenant.add_person(
            f"extra_{number:04d}", name=f"示例员工 {number:04d}", en_name=f"Sample Person {number:04d}"
        )
        tenant.add_account(person.open_id)
    return tenant
