"""Settings of the sandbox, and the form of its secrets."""

import ipaddress
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from notifier.sandbox.event_types import PUSHABLE_EVENTS

SECRET_PATTERN = re.compile(
    r"\bsandbox(?:-[a-z]+)*-(?:secret|key|token|ticket)(?:-[0-9a-f]{32})?\b|\bt-sandbox[0-9a-f]{32}\b"
)
"""Matches every secret of the sandbox: sample credentials, tickets, access keys and tokens.

Tests search logs and files for it, so a new secret needs no change there.
"""

DEFAULT_SCOPES = frozenset(
    {
        "application:application:self_manage",
        "contact:contact.base:readonly",
        "contact:user.base:readonly",
        "contact:user.email:readonly",
        "contact:user.employee_id:readonly",
        "contact:user.id:readonly",
        "hire:external_referral_reward",
        "hire:referral_account",
        "hire:referral_account:readonly",
        "im:chat.members:read",
        "im:chat:readonly",
        "im:message.group_at_msg:readonly",
        "im:message.p2p_msg:readonly",
        "im:message:readonly",
        "im:message:send_as_bot",
        "im:resource",
    }
)
SAMPLE_MENU = (
    ("balance", "余额", "Balance"),
    ("withdraw", "提现", "Withdraw"),
    ("history", "记录", "History"),
    ("settings", "设置", "Settings"),
    ("help", "帮助", "Help"),
)
"""The menu of the bot as (event_key, name, English name)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """The configuration that discovery and pongs send to clients.

    Reconnects are faster than at the real platform, so that local runs do not wait.
    """

    reconnect_count: int = -1  # -1 for no limit
    reconnect_interval_seconds: int = 1
    reconnect_nonce_seconds: int = 0
    ping_interval_seconds: int = 120  # the real platform was observed with 90 and 120

    def to_wire(self) -> dict[str, object]:
        """The configuration with Feishu's names."""
        return {
            "ReconnectCount": self.reconnect_count,
            "ReconnectInterval": self.reconnect_interval_seconds,
            "ReconnectNonce": self.reconnect_nonce_seconds,
            "PingInterval": self.ping_interval_seconds,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """All settings of the sandbox."""

    host: str = "127.0.0.1"  # address to listen on
    port: int = 0  # 0 for any free port
    app_id: str = "cli_5a4db0c05a4db0c0"
    """`cli_` and 16 hex digits: Feishu's Node SDK refuses any other form."""
    app_secret: str = "sandbox-secret"  # noqa: S105  # sample credential of a loopback server
    tenant_key: str = "sandbox-tenant"  # id of the tenant in events
    clock: Callable[[], float] = time.time  # seconds since 1970; FeishuBox.advance() adds to it
    opening_events: bool = False  # at start, push one event per account with its current balance
    extra_accounts: int = 0  # accounts in addition to the four sample people, for load tests
    keep_records: int = 0
    """How many finished events and messages are kept, the newest of each. 0 keeps all. See tenant.drop_oldest."""
    granted_scopes: frozenset[str] = DEFAULT_SCOPES  # permission scopes of the app
    subscribed_events: frozenset[str] = PUSHABLE_EVENTS
    """Event types that the app subscribes to. An app with `fresh` subscribes to none."""
    bot_menu: tuple[tuple[str, str, str], ...] = SAMPLE_MENU
    """The menu of the bot in private chats, as (event_key, name, English name)."""
    fresh: bool = False
    """Start like a new app: no scopes, nothing subscribed, no version published, the bot in no group, no accounts."""
    faults: tuple[Mapping[str, object], ...] = ()
    """Faults that run from the start, as the page starts them, such as {"fault_type": "setup:bot_off"}.

    With `opening_events`, set-up errors start after these events, see Sandbox.start_setup_faults.
    """
    foreign_open_ids: frozenset[str] = frozenset(
        {"ou_sandbox_of_another_app"}
    )  # refused as ids of another app
    """Ids that people have in another app."""

    client_config: ClientConfig = field(default_factory=ClientConfig)  # sent by discovery and pongs
    connection_limit: int = 50  # Feishu's limit of long connections for one app
    ticket_seconds: float = 60  # how long a connection URL is valid
    pong_carries_config: bool = True  # pongs contain client_config
    connection_count_known: bool = True
    """Whether `GET /event/v1/connection` exists. Feishu does not document the call; without it the answer is 404."""
    chunk_bytes: int = 200_000  # a larger payload is sent in several frames

    answer_seconds: float = 3.0  # time limit for the answer to an event or a callback
    redelivery_seconds: tuple[float, ...] = (15, 300, 3600, 21600)  # from one push of an event to the next
    push_waiting_on_connect: bool = True
    """Push waiting events to a new connection. Our choice: Feishu does not document what happens with them."""

    webhook_url: str = ""  # receives events and callbacks: http on loopback; "" for the long connection
    webhook_encrypt_key: str = "sandbox-encrypt-key"  # "" for plain JSON without a signature
    webhook_verification_token: str = "sandbox-verification-token"  # noqa: S105  # sample credential

    token_lifetime_seconds: int = 7200  # validity of a new access token
    token_renew_before_seconds: int = 1800  # a token with less time left is replaced by a new one
    quotas: bool = True  # enforce the rate limits of calls
    uuid_window_seconds: float = 3600  # a repeated uuid within it returns the first message
    patch_window_seconds: float = 14 * 86400  # how long a card can be updated
    leak_audit: bool = True  # refuse plain phone numbers and e-mail addresses in messages
    may_mention_all: bool = False  # cards can mention all members of a group
    image_keys: frozenset[str] = frozenset()  # images that the app uploaded before the sandbox started
    tables_per_card: int = 3  # Feishu documents 5, but refuses more than 3

    withdrawal_emits_event: bool = True  # not documented; the safe assumption
    empty_withdrawal_refused: bool = False  # at balance 0: code 1002002 instead of empty details

    repeated_create_refused: bool = False
    """Registering a person twice is answered with 1002002 instead of the same account. Feishu documents neither."""

    payout_secret: str = "sandbox-payout-secret"  # noqa: S105  # sample credential of a loopback server
    clock_file: str = ""
    """File that gets the number of seconds the clock is ahead, for a process that follows it; "" for no file."""
    operators: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """open_ids of the operators by chat_id, for the page to name them. The app decides who may withdraw."""
    state_file: str = ""
    """File that keeps Feishu's side for a later run, see saved_state.py; "" to forget it at the end."""
    digest_command: tuple[str, ...] = ()
    """Command of the page's button "send today's digest"; empty for no button."""
    payout_report_url: str = ""
    """Receives the reports of the simulated payroll: http on loopback; "" for no reports."""


def is_loopback(url: str) -> bool:
    """Whether the URL is plain http on loopback, without user and without ambiguous characters."""
    try:
        split = urlsplit(url)
        host, _ = split.hostname or "", split.port
        is_plain = url.isascii() and url.isprintable() and not set(url) & set(' \\"<>')
        if split.scheme != "http" or "@" in split.netloc or not is_plain:
            return False
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # not an IP address, or not a valid port
        return False


def new_secret(name: str) -> str:
    """A random secret that `SECRET_PATTERN` matches. name: its kind, such as `ticket` or `access-key`."""
    return f"sandbox-{name}-{secrets.token_hex(16)}"
