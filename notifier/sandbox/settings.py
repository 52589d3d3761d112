"""Settings: everything about the stand-in Feishu that can be set, with its defaults."""

import ipaddress
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

SECRET_PATTERN = re.compile(
    r"\bsandbox(?:-[a-z]+)*-(?:secret|key|token|ticket)(?:-[0-9a-f]{32})?\b|\bt-sandbox[0-9a-f]{32}\b"
)
"""Matches every secret of the sandbox: sample credentials, tickets, access keys and tokens.

Tests search logs and files for it, so a new secret needs no change there.
"""

DEFAULT_SCOPES = frozenset(
    {
        "contact:contact.base:readonly",
        "contact:user.base:readonly",
        "contact:user.email:readonly",
        "contact:user.employee_id:readonly",
        "contact:user.id:readonly",
        "hire:referral_account",
        "hire:referral_account:readonly",
        "im:chat:readonly",
        "im:message:send_as_bot",
        "im:resource",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """What discovery and pongs tell a client about reconnecting and pinging. All in seconds but the count.

    Quicker than the real platform (which was seen with pings of 90 or 120 s), so that local runs do not wait.
    """

    reconnect_count: int = -1
    reconnect_interval_seconds: int = 1
    reconnect_nonce_seconds: int = 0
    ping_interval_seconds: int = 120

    def to_wire(self) -> dict[str, object]:
        return {
            "ReconnectCount": self.reconnect_count,
            "ReconnectInterval": self.reconnect_interval_seconds,
            "ReconnectNonce": self.reconnect_nonce_seconds,
            "PingInterval": self.ping_interval_seconds,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """All switches of the stand-in.

    app_id has the form `cli_` and 16 hex digits, because the Node SDK refuses to start with any other.
    """

    host: str = "127.0.0.1"
    port: int = 0  # 0: any free one
    app_id: str = "cli_5a4db0c05a4db0c0"
    app_secret: str = "sandbox-secret"  # noqa: S105  # sample credential of a loopback stand-in
    tenant_key: str = "sandbox-tenant"
    clock: Callable[[], float] = time.time  # seconds since 1970; FeishuBox.advance() adds to it
    opening_events: bool = False  # at start, tell every account's balance once, as if it had just changed
    extra_accounts: int = 0  # made up on top of the four sample people, for load
    keep_records: int = (
        0  # finished events and messages kept of each, the newest; 0 keeps all. See world.forget
    )
    granted_scopes: frozenset[str] = DEFAULT_SCOPES
    foreign_open_ids: frozenset[str] = frozenset({"ou_sandbox_of_another_app"})

    client_config: ClientConfig = field(default_factory=ClientConfig)
    connection_limit: int = 50
    ticket_seconds: float = 60
    pong_carries_config: bool = True
    connection_count_known: bool = (
        True  # GET /event/v1/connection, undocumented: 404 where the platform has it not
    )
    chunk_bytes: int = 200_000  # a larger payload travels in several frames

    answer_seconds: float = 3.0  # how long an event or a callback may take
    redelivery_seconds: tuple[float, ...] = (15, 300, 3600, 21600)
    push_waiting_on_connect: bool = (
        True  # our choice: what Feishu does with events nobody was online for is not documented
    )

    webhook_url: str = ""  # where events and callbacks go: http on loopback; "" for the long connection
    webhook_encrypt_key: str = "sandbox-encrypt-key"  # "" for none: plain JSON, unsigned
    webhook_verification_token: str = "sandbox-verification-token"  # noqa: S105  # sample, as above

    token_lifetime_seconds: int = 7200
    token_renew_before_seconds: int = 1800
    quotas: bool = True
    uuid_window_seconds: float = 3600
    patch_window_seconds: float = 14 * 86400
    leak_audit: bool = True  # refuse plain phone numbers and e-mail addresses in messages
    may_mention_all: bool = False
    tables_per_card: int = 3  # the page says 5; more than 3 were seen refused

    withdrawal_emits_event: bool = True  # not documented; the safe assumption
    empty_withdrawal_refused: bool = False  # at balance 0: empty details, or code 1002002

    payout_secret: str = "sandbox-payout-secret"  # noqa: S105  # sample credential of a loopback stand-in
    clock_file: str = (
        ""  # where to write how many seconds the clock is ahead, for whoever follows it; "" for nowhere
    )
    digest_command: tuple[
        str, ...
    ] = ()  # what the page's button "send today's digest" runs; empty for no button
    payout_report_url: str = ""  # where the payroll stand-in reports to: http on loopback, or nowhere


def is_loopback(url: str) -> bool:
    """Plain http to this machine, without a user, and with no character that could be read in two ways."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        plain = url.isascii() and url.isprintable() and not set(url) & set(' \\"<>')
        if parts.scheme != "http" or "@" in parts.netloc or not plain:
            return False
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # no address, or a port that is none
        return False


def new_secret(name: str) -> str:
    """A random secret that `SECRET_PATTERN` matches. name: its kind, such as `ticket` or `access-key`."""
    return f"sandbox-{name}-{secrets.token_hex(16)}"
