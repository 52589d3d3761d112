"""Config: every setting as a frozen value with its default and its rule. Read from YAML by config_file.py."""

import difflib
import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator, model_validator

from notifier.config.digests import GROUP_NAME, CalendarConfig, DigestConfig
from notifier.config.fields import Number, Secret, Section, Text, Zone, as_list, listen_address
from notifier.domain.delivery import HOUR_MS
from notifier.domain.digest import DigestPlan
from notifier.domain.money import Kind
from notifier.domain.notice import Direction
from notifier.domain.period import working_days
from notifier.domain.route import REFERRER

CENTURY_DAYS = 36_500


class Transport(StrEnum):
    LONG_CONNECTION = "long_connection"
    WEBHOOK = "webhook"


class FeishuConfig(Section):
    base_url: str = "https://open.feishu.cn"
    app_id: Text = ""
    app_secret: Secret = SecretStr("")
    transport: Transport = Transport.LONG_CONNECTION
    timeout_seconds: Number = Field(default=10.0, gt=0, le=30)
    when_refused: Literal["exit_at_start", "exit", "retry"] = "exit_at_start"

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(
                "must be an address such as https://open.feishu.cn or https://open.larksuite.com"
            )
        _ = parts.port  # raises for a port that is none
        if parts.username or parts.password:
            raise ValueError("must be an address without a user name or password")
        if parts.path.strip("/"):
            raise ValueError(f"must be an address without a path; leave out {parts.path}")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise ValueError(
                "must use https, as the app secret travels over it; http is for a stand-in on this machine"
            )
        return value.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class WebhookConfig(Section):
    listen: str = ""
    path: str = "/feishu/events"
    encrypt_key: Secret = SecretStr("")
    verification_token: Secret = SecretStr("")
    replay_window_seconds: int = Field(default=300, ge=1, le=3600)

    @field_validator("listen")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        if value:
            listen_address(value)
        return value

    @field_validator("path")
    @classmethod
    def _one_path(cls, value: str) -> str:
        if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", value):
            raise ValueError("must be a path such as /feishu/events, with letters, digits, - . _ ~ in it")
        return value


class StoreConfig(Section):
    url: str = "sqlite:///data/notifier.db"

    @field_validator("url")
    @classmethod
    def _sqlite(cls, value: str) -> str:
        if not value.startswith("sqlite:///"):
            raise ValueError(
                "must be sqlite:///path/to/notifier.db (four slashes for an absolute path); there is no other yet"
            )
        if not value.removeprefix("sqlite:///").strip("/") or ":memory:" in value:
            raise ValueError("must name a file, as what lies in memory is lost with the process")
        return value


def _as_both_languages(value: object) -> object:
    """One text, for example from the environment, is shown in both languages."""
    return {"zh": value} if isinstance(value, str) else value


class OwnLineConfig(Section):
    """A line of the operator's own on a card. If one language is empty, the other one is shown in both."""

    zh: str = Field(default="", max_length=200)
    en: str = Field(default="", max_length=200)


OwnLine = Annotated[OwnLineConfig, BeforeValidator(_as_both_languages)]


class CardConfig(Section):
    time_zone: Zone = ZoneInfo("Asia/Shanghai")
    template_dir: Path | None = None
    contact: OwnLine = OwnLineConfig()
    payday: OwnLine = OwnLineConfig()

    @field_validator("template_dir")
    @classmethod
    def _folder(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            raise ValueError(
                f"{value} is no folder; make it, or leave the key out to use the shipped templates"
            )
        return value


class GroupConfig(Section):
    chat_id: Text
    operators: Annotated[tuple[Text, ...], BeforeValidator(as_list)] = ()

    @field_validator("chat_id")
    @classmethod
    def _chat_id(cls, value: str) -> str:
        if not re.fullmatch(r"oc_[A-Za-z0-9_]{1,100}", value):
            raise ValueError(
                "is no chat id; it starts with oc_ (open the group's settings in Feishu to copy it)"
            )
        return value

    @field_validator("operators")
    @classmethod
    def _open_ids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            if not re.fullmatch(r"ou_[A-Za-z0-9_]{1,61}", each):
                raise ValueError(f"{each!r} is no open_id; it starts with ou_")
        return value


class ConditionConfig(Section):
    direction: Annotated[tuple[Direction, ...], BeforeValidator(as_list)] = ()
    kind: Annotated[tuple[Kind, ...], BeforeValidator(as_list)] = ()
    currency: Annotated[tuple[Text, ...], BeforeValidator(as_list)] = ()
    account: Annotated[tuple[Text, ...], BeforeValidator(as_list)] = ()
    least_amount: Decimal | None = Field(default=None, ge=0)

    @field_validator("least_amount", mode="before")
    @classmethod
    def _as_exact_decimal(cls, value: object) -> object:
        """0.1 in YAML means a tenth, not the nearest binary fraction."""
        return str(value) if isinstance(value, float) else value


class RouteConfig(Section):
    name: str = Field(min_length=1)
    when: ConditionConfig = ConditionConfig()
    to: Annotated[tuple[str, ...], BeforeValidator(as_list)] = Field(min_length=1)
    keep_going: bool = False


class WithdrawalConfig(Section):
    offer_to: Annotated[tuple[str, ...], BeforeValidator(as_list)] = ()
    kinds: Annotated[tuple[Kind, ...], BeforeValidator(as_list)] = Field(
        default=(Kind.POINTS, Kind.CASH), min_length=1
    )
    least_amount: Decimal = Field(default=Decimal(0), ge=0)
    per_minute: int = Field(default=98, gt=0, le=100)

    @field_validator("least_amount", mode="before")
    @classmethod
    def _as_exact_decimal(cls, value: object) -> object:
        return str(value) if isinstance(value, float) else value


SHORTEST_SECRET = 16


class PayoutConfig(Section):
    url: str = ""
    secret: Secret = SecretStr("")
    listen: str = ""
    timeout_seconds: Number = Field(default=10.0, gt=0, le=30)
    give_up_after_hours: Number = Field(default=72, gt=0, le=24 * 30)
    alarm_after_days: Number | None = Field(default=7, gt=0, le=365)
    alarm_group: str | None = None

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.fragment:
            raise ValueError("must be an address such as https://payroll.example.com/payouts")
        _ = parts.port  # raises for a port that is none
        if parts.username or parts.password:
            raise ValueError("must be an address without a user name or password; calls are signed")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise ValueError("must use https, as it says who gets how much; http is for this machine")
        return value

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < SHORTEST_SECRET:
            raise ValueError(f"must have at least {SHORTEST_SECRET} characters, or it can be guessed")
        return value

    @field_validator("listen")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        if value:
            listen_address(value)
        return value

    @model_validator(mode="after")
    def _signed(self) -> Self:
        for name in ("url", "listen"):
            if getattr(self, name) and not self.secret.get_secret_value():
                raise ValueError(
                    f"{name} needs payouts.secret, which signs what passes between the two systems; set "
                    "NOTIFIER_PAYOUTS__SECRET in the environment"
                )
        return self


class ReferrerConfig(Section):
    max_age_hours: Number = Field(default=24, ge=0, le=24 * 365)
    lookups_per_second: Number = Field(default=9, gt=0, le=10)


class ReconciliationConfig(Section):
    on_connect: bool = True
    every_hours: Number | None = Field(default=6, gt=0, le=24 * 31)
    reads_per_second: Number = Field(default=5, gt=0, le=10)
    grace_seconds: Number = Field(default=20, ge=0, le=3600)


class SendingConfig(Section):
    per_second: Number = Field(default=40, gt=0, le=50)
    per_minute: int = Field(default=975, gt=0, le=1000)
    per_chat_per_second: Number = Field(default=4.5, gt=0, le=5)
    give_up_after_hours: Number = Field(default=72, gt=0, le=24 * 30)


class HealthConfig(Section):
    listen: str = ""

    @field_validator("listen")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        if value:
            listen_address(value)
        return value


def _at_least(least: int, reason: str) -> AfterValidator:
    def check(value: int) -> int:
        if value < least:
            raise ValueError(f"must be at least {least}: {reason}")
        return value

    return AfterValidator(check)


class RetentionConfig(Section):
    events_days: Annotated[
        int, _at_least(1, "Feishu sends an event again for 7 hours"), Field(le=CENTURY_DAYS)
    ] = 30
    deliveries_days: Annotated[
        int, _at_least(30, "for 14 days a card can be pressed and changed"), Field(le=CENTURY_DAYS)
    ] = 90


class LogConfig(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Config(Section):
    """All settings. config.example.yaml explains each."""

    feishu: FeishuConfig = FeishuConfig()
    webhook: WebhookConfig = WebhookConfig()
    store: StoreConfig = StoreConfig()
    cards: CardConfig = CardConfig()
    groups: Mapping[str, GroupConfig] = Field(default_factory=dict)
    fallback_group: str | None = None
    routes: tuple[RouteConfig, ...] = (RouteConfig(name="to the referrer", to=(REFERRER,)),)
    withdrawals: WithdrawalConfig = WithdrawalConfig()
    payouts: PayoutConfig = PayoutConfig()
    digests: tuple[DigestConfig, ...] = ()
    calendar: CalendarConfig = CalendarConfig()
    referrers: ReferrerConfig = ReferrerConfig()
    reconciliation: ReconciliationConfig = ReconciliationConfig()
    sending: SendingConfig = SendingConfig()
    health: HealthConfig = HealthConfig()
    retention: RetentionConfig = RetentionConfig()
    log: LogConfig = LogConfig()

    @model_validator(mode="after")
    def _check_webhook(self) -> Self:
        if self.feishu.transport is not Transport.WEBHOOK:
            return self
        if not self.webhook.listen:
            raise ValueError("webhook.listen: feishu.transport is webhook; name host:port to listen on")
        if not any(
            each.get_secret_value() for each in (self.webhook.encrypt_key, self.webhook.verification_token)
        ):
            raise ValueError(
                "webhook.encrypt_key: one of webhook.encrypt_key and webhook.verification_token is needed, or anybody "
                "could post events; set NOTIFIER_WEBHOOK__ENCRYPT_KEY in the environment"
            )
        return self

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        for name in self.groups:
            if name == REFERRER or not GROUP_NAME.fullmatch(name):
                raise ValueError(
                    f"groups.{name}: a group's name is lower-case letters, digits, - and _, begins with a letter, "
                    f"and is not `{REFERRER}`"
                )
        if not self.routes:
            raise ValueError("routes: nobody would ever be told; name at least one, or leave the key out")
        if self.fallback_group is not None and self.fallback_group not in self.groups:
            raise ValueError(f"fallback_group: {self._unknown_group(self.fallback_group)}")
        for number, route in enumerate(self.routes):
            for target in route.to:
                if target != REFERRER and target not in self.groups:
                    raise ValueError(f"routes[{number}].to: {self._unknown_group(target)}")
        names = [route.name for route in self.routes]
        duplicate = next((name for name in names if names.count(name) > 1), None)
        if duplicate:
            raise ValueError(f"routes: two of them are called {duplicate!r}; give each a name of its own")
        return self

    @model_validator(mode="after")
    def _check_offers(self) -> Self:
        for target in self.withdrawals.offer_to:
            if target != REFERRER and target not in self.groups:
                raise ValueError(f"withdrawals.offer_to: {self._unknown_group(target)}")
        alarm_group = self.payouts.alarm_group
        if alarm_group is not None and alarm_group not in self.groups:
            raise ValueError(f"payouts.alarm_group: {self._unknown_group(alarm_group)}")
        return self

    @model_validator(mode="after")
    def _check_digests(self) -> Self:
        names = [digest.name for digest in self.digests]
        duplicate = next((name for name in names if names.count(name) > 1), None)
        if duplicate:
            raise ValueError(f"digests: two of them are called {duplicate!r}; give each a name of its own")
        for number, digest in enumerate(self.digests):
            for target in digest.to:
                if target != REFERRER and target not in self.groups:
                    raise ValueError(f"digests[{number}].to: {self._unknown_group(target)}")
        return self

    def digest_plans(self) -> tuple[DigestPlan, ...]:
        """The configured digests, as values of the domain."""
        working = working_days(self.calendar.closed_on, self.calendar.open_on)
        return tuple(
            DigestPlan(
                name=digest.name,
                groups=tuple(target for target in digest.to if target != REFERRER),
                to_referrers=REFERRER in digest.to,
                cron=digest.expression,
                zone=digest.time_zone or self.cards.time_zone,
                span=digest.period,
                working=working if digest.working_days else None,
                skip_quiet=digest.when_empty == "skip",
                jitter_ms=digest.jitter_seconds * 1000,
                chart_days=digest.chart_days,
                rows=digest.rows,
                file=digest.file,
                withdraw=digest.withdraw,
                catch_up_ms=round(digest.catch_up_hours * HOUR_MS),
            )
            for digest in self.digests
        )

    def _unknown_group(self, name: str) -> str:
        return (
            f"there is no group called {name!r} under `groups`{suggest_name(name, [*self.groups, REFERRER])}"
        )


def suggest_name(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f" (did you mean {close[0]}?)"
    return f" (there are: {', '.join(known)})" if 0 < len(known) <= 12 else ""
