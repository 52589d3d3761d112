"""The people, groups, accounts and messages of the simulated tenant. State only, no I/O except the clock file."""

import asyncio
import hashlib
import itertools
import secrets
from collections import Counter, deque
from collections.abc import Callable, Iterable, MutableSequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import ClassVar, TypeVar

from notifier.sandbox.app_console import AppConsole
from notifier.sandbox.clock import SandboxClock
from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.exchanges import MAX_EXCHANGES, Exchange, RequestRecord
from notifier.sandbox.settings import SandboxSettings

_T = TypeVar("_T")


class PersonStatus(Enum):
    """Whether the bot can reach a person, and why not."""

    ACTIVE = "active"
    RESIGNED = "resigned"
    BOT_STOPPED = "bot_stopped"
    OUT_OF_RANGE = "out_of_range"
    BLOCKED = "blocked"


USABLE, DEACTIVATED = 1, 2  # account status on the wire
MAX_LEDGER_ENTRIES = 10_000
APP_SENDER, USER_SENDER = "app", "user"  # sender_type of a message on the wire
FIRST_ACCOUNT = 7_000_000_000_000_000_001


class LinkedValue:
    """A person or group, of which each app of a tenant has its own object.

    The fields of SHARED_FIELDS have one value in the tenant: setting one sets it in the objects of all apps. With one
    app there is nothing to set elsewhere. world/links.py makes the objects of several apps known to each other.
    """

    __slots__ = ("peers",)
    SHARED_FIELDS: ClassVar[frozenset[str]] = frozenset()
    peers: "list[LinkedValue]"

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        if name in self.SHARED_FIELDS:
            for peer in getattr(self, "peers", ()):
                object.__setattr__(peer, name, value)


@dataclass(slots=True, kw_only=True)
class TenantPerson(LinkedValue):
    """One person of the tenant, as one app sees them."""

    SHARED_FIELDS: ClassVar[frozenset[str]] = frozenset(
        {"user_id", "name", "en_name", "email", "mobile", "resigned_code", "department_ids"}
    )

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
    department_ids: list[str] = field(default_factory=list)  # of Department; empty for the root alone

    def __setattr__(self, name: str, value: object) -> None:
        """Somebody who resigns does so for all apps. The other states concern one app."""
        before: object = getattr(self, "status", None)
        is_for_all = name == "status" and PersonStatus.RESIGNED in (value, before)
        LinkedValue.__setattr__(self, name, value)
        if is_for_all:
            for peer in getattr(self, "peers", ()):
                object.__setattr__(peer, name, value)


ROOT_DEPARTMENT = "0"
"""The department_id of the whole tenant, which is no `Department`."""


@dataclass(slots=True, kw_only=True)
class Department:
    """One department."""

    department_id: str  # chosen by the tenant
    open_department_id: str  # starts with od-
    name: str  # in Chinese
    en_name: str = ""  # in English
    parent_department_id: str = ROOT_DEPARTMENT  # department_id of the department above
    leader_open_id: str = ""  # open_id of its leader, "" without one


@dataclass(slots=True, kw_only=True)
class Group(LinkedValue):
    """One group chat, as one app sees it."""

    SHARED_FIELDS: ClassVar[frozenset[str]] = frozenset({"name", "en_name", "dissolved"})

    chat_id: str  # starts with oc_
    name: str  # as shown to members
    members: MutableSequence[str]  # open_ids
    en_name: str = ""  # shown by the page in English; Feishu has one name only
    has_bot: bool = True  # the bot is a member
    muted: bool = False  # the bot is not allowed to send
    dissolved: bool = False  # the group was deleted
    description: str = ""  # as shown to members
    owner_id: str = ""  # open_id of the owner; "" when the bot owns it
    created_by_app: bool = False  # the app created it with its API
    options: dict[str, str] = field(default_factory=dict)  # settings such as edit_permission

    def __setattr__(self, name: str, value: object) -> None:
        """New members are those of the group for all apps."""
        if name == "members" and hasattr(self, "peers") and isinstance(value, Iterable):
            self.members[:] = [str(open_id) for open_id in value]
        else:
            LinkedValue.__setattr__(self, name, value)


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
class LedgerEntry:
    """One change of a balance."""

    at_ms: int  # milliseconds since 1970 of the sandbox clock
    account_id: str  # the changed account
    points: int  # added, negative for withdrawn or reduced points
    cash: dict[str, Decimal]  # added, by ISO currency
    reason: str  # change, reward or withdrawal
    reference: str = ""  # order id of a withdrawal, id of a reward


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A person or bot that a message mentions."""

    key: str  # the placeholder in the text, such as @_user_1
    open_id: str  # of the person, or of the bot
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
    merged_ids: list[str] = field(default_factory=list)  # the messages that a merge_forward contains
    mentions: list[Mention] = field(default_factory=list)  # in the order of their placeholders
    reactions: list[Reaction] = field(default_factory=list)  # oldest first
    read_by: dict[str, int] = field(default_factory=dict)  # time of reading in ms, by open_id
    pinned_by: str | None = None  # app_id or open_id of who pinned it, None if it is not pinned
    pin_time_ms: int = 0  # when it was pinned
    urgent_to: list[str] = field(default_factory=list)  # open_ids of people who got it as urgent
    edit_count: int = 0  # how often its text was edited
    recalled: bool = False  # it was withdrawn by the sender
    visible_to: str = ""  # open_id of the only person who sees the card; "" for everybody in the chat
    hook_token: str = ""  # of the custom bot that sent it; "" for a message of the app
    personal_cards: dict[str, JsonObject] = field(default_factory=dict)
    """By open_id: cards of an exclusive card that differ for a person."""
    has_pending_click: bool = False  # a click waits for its answer; Feishu refuses updates meanwhile


class Tenant:
    """The tenant as one app sees it. World links the tenants of apps that belong to the same one.

    Use it from the event loop of the server only, and call `bump_revision` after each change.
    """

    def __init__(
        self, settings: SandboxSettings, *, clock: SandboxClock | None = None, is_first: bool = True
    ) -> None:
        """clock: that of the sandbox, None to create it. is_first: whether this is the first app of the sandbox."""
        self.settings = settings
        digest = hashlib.sha256(settings.app_id.encode()).hexdigest()
        self.id_suffix = "" if is_first else f"_{digest[:6]}"
        """The end of the ids that an app has for people, "" for the first app."""
        self._first_account = FIRST_ACCOUNT if is_first else FIRST_ACCOUNT + int(digest[:6], 16) * 1000
        self.clock = clock or SandboxClock(settings.clock, settings.clock_file)
        self.people: dict[str, TenantPerson] = {}
        self._people_added = 0
        self.groups: dict[str, Group] = {}
        self.departments: dict[str, Department] = {}  # by department_id
        self.accounts: dict[str, Account] = {}
        self.messages: dict[str, Message] = {}
        self.on_shared_message: Callable[[Message], None] = lambda _message: (
            None
        )  # for one that another app added
        self.files: dict[str, JsonObject] = {}
        self.images = set(settings.image_keys)  # keys of images that the app has uploaded
        self.image_bytes: dict[str, bytes] = {}  # the newest images for messages, see api/files.py
        self.console = AppConsole(
            set(settings.granted_scopes), is_fresh=settings.fresh, events=settings.subscribed_events
        )
        self.requests: list[RequestRecord] = []
        self.ledger: deque[LedgerEntry] = deque(maxlen=MAX_LEDGER_ENTRIES)  # balance changes, oldest first
        self.exchanges: dict[str, Exchange] = {}  # bodies of the newest calls, by log_id
        self.refusals: Counter[int] = Counter()
        self.unknown_calls: Counter[str] = (
            Counter()
        )  # by method and path: calls that the stand-in does not know
        self.revision = 0
        self.watchers: list[Callable[[int], None]] = []
        self.other_apps: Iterable[Tenant] = ()  # the other apps of the sandbox, of this and of other tenants
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

    def has_bot_in(self, chat_id: str) -> bool:
        """Whether the bot is in this chat. It is in every private chat."""
        group = self.groups.get(chat_id)
        return group is None or self.has_bot(group)

    def is_foreign(self, open_id: str) -> bool:
        """Whether the open_id belongs to another app."""
        fault = self.console.find_fault("setup:foreign_operator")
        if open_id in self.settings.foreign_open_ids or (fault and fault["open_id"] == open_id):
            return True
        return open_id not in self.people and any(open_id in other.people for other in self.other_apps)

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

    def keep_exchange(self, log_id: str, exchange: Exchange) -> None:
        """Keeps what a call sent and got, and drops the oldest beyond MAX_EXCHANGES."""
        self.exchanges[log_id] = exchange
        while len(self.exchanges) > MAX_EXCHANGES:
            del self.exchanges[next(iter(self.exchanges))]

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

    def local_id(self, any_id: str) -> str:
        """The open_id that this app has for a person whom another app of the tenant knows by this id; else the same."""
        if any_id in self.people:
            return any_id
        for other in self.other_apps:
            person = other.people.get(any_id)
            if person is not None and other.settings.tenant_key == self.settings.tenant_key:
                own = next((one for one in self.people.values() if one.union_id == person.union_id), None)
                return any_id if own is None else own.open_id
        return any_id

    @property
    def bot_open_id(self) -> str:
        """The open_id of the bot."""
        return f"ou_sandbox_bot{self.id_suffix}"

    def add_person(self, key: str, *, name: str, en_name: str) -> TenantPerson:
        """Adds a person with ids, addresses and a direct chat derived from `key`."""
        number = self._people_added = max(self._people_added, len(self.people)) + 1
        person = TenantPerson(
            open_id=f"ou_sandbox_{key}{self.id_suffix}",
            union_id=f"on_sandbox_{key}",
            name=name,
            en_name=en_name,
            user_id=self.derive_user_id(key),
            email=self.derive_email(key),
            mobile=f"+861380000{number:04d}",
            chat_id=f"oc_sandbox_p2p_{key}{self.id_suffix}",
        )
        self.people[person.open_id] = person
        return person

    @staticmethod
    def derive_user_id(key: str) -> str:
        """The user_id that `add_person` gives."""
        return f"sandbox_{key}"

    @staticmethod
    def derive_email(key: str) -> str:
        """The e-mail address that `add_person` gives."""
        return f"{key.replace('_', '.')}@sandbox.example"

    def next_account_id(self) -> str:
        """An account_id that is not used."""
        number = self._first_account + len(self.accounts)
        while str(number) in self.accounts:  # after one was deleted
            number += 1
        return str(number)

    def add_account(self, open_id: str) -> Account:
        """Adds an account without a balance for a person."""
        account = Account(account_id=self.next_account_id(), open_id=open_id)
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
