"""The people, groups, accounts and messages of the simulated tenant. State only, no I/O except the clock file."""

import asyncio
import itertools
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import TypeVar

from notifier.sandbox.app_console import AppConsole
from notifier.sandbox.clock import SandboxClock
from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.settings import SandboxSettings

_T = TypeVar("_T")


class PersonStatus(Enum):
    """Whether the bot can reach a person, and why not."""

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
APP_SENDER, USER_SENDER = "app", "user"  # sender_type of a message on the wire
BOT_OPEN_ID, BOT_NAME = "ou_sandbox_bot", "Referral notifier (sandbox)"
"""The bot of the app as a member of chats."""


@dataclass(slots=True, kw_only=True)
class TenantPerson:
    """One person of the tenant."""

    open_id: str  # id for this app
    union_id: str  # id for all apps of one developer
    user_id: str  # id in the tenant
    name: str  # in Chinese
    en_name: str  # in English
    email: str  # work e-mail address
    mobile: str  # with country code
    chat_id: str  # of the direct chat with the bot
    status: PersonStatus = PersonStatus.ACTIVE  # whether the bot can reach the person
    resigned_code: int = 230029  # error code for `resigned`; Feishu answers 230029 or 230013


@dataclass(slots=True, kw_only=True)
class Group:
    """One group chat."""

    chat_id: str  # starts with oc_
    name: str  # as shown to members
    members: list[str]  # open_ids
    en_name: str = ""  # shown by the page in English; Feishu has one name only
    has_bot: bool = True  # the bot is a member
    muted: bool = False  # the bot is not allowed to send
    dissolved: bool = False  # the group was deleted


@dataclass(slots=True, kw_only=True)
class Account:
    """One referral account."""

    account_id: str  # decimal number as text
    open_id: str  # of the referrer
    status: int = USABLE  # USABLE or DEACTIVATED
    points: int = 0  # current balance
    cash: dict[str, Decimal] = field(default_factory=dict)  # by ISO currency
    currency_form: str = "iso"  # one of accounts.CURRENCY_FORMS, how the API writes currencies


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A person or bot that a message mentions."""

    key: str  # the placeholder in the text, such as @_user_1
    open_id: str  # of the person, or BOT_OPEN_ID
    name: str  # as shown in the text


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """An emoji that a person or the app put on a message."""

    reaction_id: str  # random
    emoji_type: str  # such as SMILE
    operator_id: str  # an open_id, or an app_id
    operator_type: str  # user or app
    action_time_ms: int  # milliseconds since 1970 of the sandbox clock


@dataclass(slots=True, kw_only=True)
class Message:
    """One message of the app or of a person."""

    message_id: str  # starts with om_
    chat_id: str  # the chat that contains it
    sender_id: str  # app_id of the app, or open_id of the person
    sender_type: str = APP_SENDER  # APP_SENDER or USER_SENDER
    msg_type: str  # text, interactive (a card), file, ...
    content: JsonObject  # parsed content_text
    content_text: str  # the string that the sender sent
    uuid: str | None = None  # idempotency key of the app
    create_time_ms: int  # milliseconds since 1970 of the sandbox clock
    update_time_ms: int  # equal to create_time_ms until it is updated
    parent_id: str | None = None  # message_id of the message it replies to
    root_id: str | None = None  # message_id of the first message of its chain of replies
    thread_id: str | None = None  # starts with omt_; the first message of a thread has it too
    upper_message_id: str | None = None  # of the merged message that contains this copy
    mentions: list[Mention] = field(default_factory=list)  # in the order of their placeholders
    reactions: list[Reaction] = field(default_factory=list)  # oldest first
    read_by: dict[str, int] = field(default_factory=dict)  # time of reading in ms, by open_id
    pinned_by: str | None = None  # app_id or open_id of who pinned it, None if it is not pinned
    pin_time_ms: int = 0  # when it was pinned
    edit_count: int = 0  # how often its text was edited
    recalled: bool = False  # it was withdrawn by the sender
    has_pending_click: bool = False  # a click waits for its answer; Feishu refuses updates meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One call of the app."""

    at_ms: int  # milliseconds since 1970 of the sandbox clock, at the end of the call
    method: str  # HTTP method
    path: str  # without query
    status: int  # HTTP status, 0 without an answer
    code: int | None  # of the JSON answer, None without one
    took_ms: int  # real time
    log_id: str  # X-Tt-Logid of the answer

    def to_json(self) -> JsonObject:
        """All fields as JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


class Tenant:
    """The tenant. Use it from the event loop of the server only, and call `bump_revision` after each change."""

    def __init__(self, settings: SandboxSettings) -> None:
        self.settings = settings
        self.clock = SandboxClock(settings.clock, settings.clock_file)
        self.people: dict[str, TenantPerson] = {}
        self.groups: dict[str, Group] = {}
        self.accounts: dict[str, Account] = {}
        self.messages: dict[str, Message] = {}
        self.files: dict[str, JsonObject] = {}
        self.images = set(settings.image_keys)  # keys of images that the app has uploaded
        self.console = AppConsole(
            set(settings.granted_scopes), is_fresh=settings.fresh, events=settings.subscribed_events
        )
        self.requests: list[RequestRecord] = []
        self.refusals: Counter[int] = Counter()
        self.unknown_calls: Counter[str] = (
            Counter()
        )  # by method and path: calls that the stand-in does not know
        self.revision = 0
        self.watchers: list[Callable[[int], None]] = []
        self.stopping = asyncio.Event()

    @property
    def granted_scopes(self) -> set[str]:
        """The scopes in force."""
        return self.console.scopes

    @granted_scopes.setter
    def granted_scopes(self, scopes: set[str]) -> None:
        self.console.set_scopes(scopes)

    def find_group(self, chat_id: str) -> Group | None:
        """The group of a chat_id. None without one, and for the one that a fault makes unknown."""
        unknown = self.console.find_fault("setup:wrong_chat_id")
        return None if unknown and unknown["chat_id"] == chat_id else self.groups.get(chat_id)

    def has_bot(self, group: Group) -> bool:
        """Whether the bot is a member of the group."""
        fault = self.console.find_fault("setup:bot_not_in_group")
        return group.has_bot and not (fault and fault["chat_id"] == group.chat_id)

    def is_foreign(self, open_id: str) -> bool:
        """Whether the open_id belongs to another app."""
        fault = self.console.find_fault("setup:foreign_operator")
        return open_id in self.settings.foreign_open_ids or bool(fault and fault["open_id"] == open_id)

    def is_available_to(self, person: TenantPerson) -> bool:
        """Whether the person is in the availability range of the app."""
        fault = self.console.find_fault("setup:outside_availability")
        is_outside = fault is not None and fault["open_id"] in ("", person.open_id)
        return (
            self.console.live.availability
            and person.status is not PersonStatus.OUT_OF_RANGE
            and not is_outside
        )

    def may_read(self, person: TenantPerson) -> bool:
        """Whether the person is in the contact range of the app."""
        return self.console.live.contact_range and person.status is not PersonStatus.OUT_OF_RANGE

    def bump_revision(self) -> None:
        """Increments the revision after a change and calls all watchers with it."""
        self.revision += 1
        for watcher in list(self.watchers):
            watcher(self.revision)

    def person_of_chat(self, chat_id: str) -> TenantPerson | None:
        """The person of a direct chat, None for other chats."""
        return next((person for person in self.people.values() if person.chat_id == chat_id), None)

    def is_member(self, open_id: str, chat_id: str) -> bool:
        """Whether the person is in the chat: the direct chat of the person, or a group."""
        group = self.groups.get(chat_id)
        if group is not None:
            return open_id in group.members
        person = self.people.get(open_id)
        return person is not None and person.chat_id == chat_id

    def add_person(self, key: str, *, name: str, en_name: str) -> TenantPerson:
        """Adds a person with ids, addresses and a direct chat derived from `key`."""
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
        """Adds an account without a balance for a person."""
        account = Account(account_id=str(7_000_000_000_000_000_001 + len(self.accounts)), open_id=open_id)
        self.accounts[account.account_id] = account
        return account

    def chat_messages(self, chat_id: str) -> list[Message]:
        """The messages of a chat, oldest first."""
        return [message for message in self.messages.values() if message.chat_id == chat_id]


def drop_oldest(
    kept: dict[str, _T], limit: int, *, finished: Callable[[_T], bool] = lambda _: True
) -> list[str]:
    """Removes the oldest finished entries beyond `limit` and returns their keys. A limit of 0 removes nothing.

    It runs only when there are twice as many entries, so that a long run spends little time on it.
    """
    if not limit or len(kept) < 2 * limit:
        return []
    old = itertools.islice(kept.items(), len(kept) - limit)
    removed = [key for key, each in old if finished(each)]
    for key in removed:
        del kept[key]
    return removed


def new_id(prefix: str) -> str:
    """A random id, such as `om_...` for the prefix `om`."""
    return f"{prefix}_{secrets.token_hex(16)}"


def build_sample_tenant(settings: SandboxSettings) -> Tenant:
    """The tenant that a fresh sandbox starts with: four people, two groups, and `extra_accounts` for load."""
    tenant = Tenant(settings)
    for key, name, en_name, points, cash in SAMPLE_PEOPLE:
        person = tenant.add_person(key, name=name, en_name=en_name)
        if settings.fresh:
            continue
        account = tenant.add_account(person.open_id)
        account.points = points
        account.cash = {currency: Decimal(amount) for currency, amount in cash.items()}
    everyone = list(tenant.people)
    for chat_id, name, en_name in (
        ("oc_sandbox_hr", "招聘奖励通知（示例）", "Referral rewards (sample)"),
        ("oc_sandbox_fallback", "奖励兜底群（示例）", "Fallback group (sample)"),
    ):
        tenant.groups[chat_id] = Group(
            chat_id=chat_id, name=name, en_name=en_name, members=everyone, has_bot=not settings.fresh
        )
    for number in range(1, settings.extra_accounts + 1):
        person = tenant.add_person(
            f"extra_{number:04d}", name=f"示例员工 {number:04d}", en_name=f"Sample Person {number:04d}"
        )
        tenant.add_account(person.open_id)
    return tenant
