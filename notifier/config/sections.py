"""The sections of the configuration: each setting with its default and its validation."""

import re
from decimal import Decimal
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator, model_validator

from notifier.config.fields import Number, Secret, Section, SettingFault, Text, Zone, as_list, listen_address
from notifier.domain.contact_data import find_contact_data
from notifier.domain.money import Kind
from notifier.domain.notice import Direction

CENTURY_DAYS = 36_500


class Transport(StrEnum):
    """How events arrive."""

    LONG_CONNECTION = "long_connection"
    WEBHOOK = "webhook"


class FeishuConfig(Section):
    """Access to the Feishu API."""

    base_url: str = "https://open.feishu.cn"
    """Address of the API: Feishu or Lark."""
    app_id: Text = ""
    """App id from the developer console."""
    app_secret: Secret = SecretStr("")
    """App secret from the developer console."""
    environment: Literal["production", "test"] = "production"
    """Whether the app is a test app. `notifier try` changes rewards in Feishu and refuses on any other app."""
    transport: Transport = Transport.LONG_CONNECTION
    """How events arrive: long connection or webhook."""
    timeout_seconds: Number = Field(default=10.0, gt=0, le=30)
    """Limit of one API call, in seconds."""
    when_refused: Literal["exit_at_start", "exit", "retry"] = "exit_at_start"
    """What to do if Feishu rejects the credentials. `exit_at_start`: exit at start-up only; `exit`: exit at any time;
    `retry`: never exit."""

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise SettingFault(
                "must be an address such as https://open.feishu.cn or https://open.larksuite.com",
                "必须是网址，例如 https://open.feishu.cn 或 https://open.larksuite.com",
            )
        _ = parts.port  # raises ValueError for an invalid port
        if parts.username or parts.password:
            raise SettingFault(
                "must be an address without a user name or password", "网址不能包含用户名或密码"
            )
        if parts.path.strip("/"):
            raise SettingFault(
                f"must be an address without a path; leave out {parts.path}",
                f"网址不能包含路径，请去掉 {parts.path}",
            )
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise SettingFault(
                "must use https, because calls contain the app secret; http is allowed for a server on this machine",
                "必须使用 https，因为请求中有 App Secret；只有本机服务可以用 http",
            )
        return value.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class WebhookConfig(Section):
    """Endpoint for events, if feishu.transport is webhook."""

    listen: str = ""
    """host:port of the endpoint; empty: none."""
    path: str = "/feishu/events"
    """URL path of the endpoint."""
    encrypt_key: Secret = SecretStr("")
    """Encrypt key from the developer console; it also verifies signatures."""
    verification_token: Secret = SecretStr("")
    """Verification token from the developer console."""
    replay_window_seconds: int = Field(default=300, ge=1, le=3600)
    """Maximum age of a signed request, in seconds."""

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
            raise SettingFault(
                "must be a path such as /feishu/events, with letters, digits, - . _ ~ in it",
                "必须是路径，例如 /feishu/events，只能包含字母、数字和 - . _ ~",
            )
        return value


class StoreConfig(Section):
    """Database."""

    url: str = "sqlite:///data/notifier.db"

    @field_validator("url")
    @classmethod
    def _known_system(cls, value: str) -> str:
        if value.startswith(("postgresql://", "postgresql+psycopg://")):
            return value  # the store checks the rest when it opens the database
        if not value.startswith("sqlite:///"):
            raise SettingFault(
                "must be sqlite:///path/to/notifier.db (four slashes for an absolute path) or "
                "postgresql+psycopg://user@host/database",
                "必须是 sqlite:///path/to/notifier.db（绝对路径用四个斜杠）或 postgresql+psycopg://user@host/database",
            )
        if not value.removeprefix("sqlite:///").strip("/") or ":memory:" in value:
            raise SettingFault(
                "must name a file, because data in memory is lost when the process ends",
                "必须指定文件：内存中的数据在进程结束后会丢失",
            )
        return value


def _as_both_languages(value: object) -> object:
    """One text, for example from the environment, is shown in both languages."""
    return {"zh": value} if isinstance(value, str) else value


class OwnLineConfig(Section):
    """A line of the operator's own on a card. If one language is empty, the other one is shown in both."""

    zh: str = Field(default="", max_length=200)
    en: str = Field(default="", max_length=200)

    @field_validator("zh", "en")
    @classmethod
    def _without_contact_data(cls, value: str) -> str:
        kind = find_contact_data(value)
        if kind is not None:
            raise SettingFault(
                f"holds {kind}. Feishu may refuse every card with it (data-leak audit). Name a team or a person "
                "instead",
                "含有邮箱或电话号码。飞书的数据防泄漏审核可能拒绝所有这样的卡片，请改写团队名或人名",
            )
        return value


OwnLine = Annotated[OwnLineConfig, BeforeValidator(_as_both_languages)]


class CardConfig(Section):
    """Rendering of cards."""

    time_zone: Zone = ZoneInfo("Asia/Shanghai")
    template_dir: Path | None = None
    contact: OwnLine = OwnLineConfig()
    payday: OwnLine = OwnLineConfig()

    @field_validator("template_dir")
    @classmethod
    def _folder(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            raise SettingFault(
                f"{value} is not a folder; create it, or remove the key to use the built-in templates",
                f"{value} 不是目录；请创建它，或删除该项以使用内置模板",
            )
        return value


class GroupConfig(Section):
    """A Feishu group that receives cards."""

    chat_id: Text
    operators: Annotated[tuple[Text, ...], BeforeValidator(as_list)] = ()

    @field_validator("chat_id")
    @classmethod
    def _chat_id(cls, value: str) -> str:
        if not re.fullmatch(r"oc_[A-Za-z0-9_]{1,100}", value):
            raise SettingFault(
                "is not a chat id; it starts with oc_ (copy it from the group settings in Feishu)",
                "不是群 ID；群 ID 以 oc_ 开头，可在飞书的群设置中复制",
            )
        return value

    @field_validator("operators")
    @classmethod
    def _open_ids_or_emails(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            if OPEN_ID.fullmatch(each) or OPERATOR_EMAIL.fullmatch(each):
                continue
            has_address = "@" in each  # an address is contact data
            shown, shown_zh = ("an entry with @", "带 @ 的一项") if has_address else (repr(each), repr(each))
            raise SettingFault(
                f"{shown} is neither an open_id, which starts with ou_, nor an e-mail address",
                f"{shown_zh} 既不是 open_id（以 ou_ 开头），也不是邮箱",
            )
        return value


OPEN_ID = re.compile(r"ou_[A-Za-z0-9_]{1,61}")
OPERATOR_EMAIL = re.compile(r"[A-Za-z0-9._%+'-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}")


class ConditionConfig(Section):
    """Conditions of a route. An empty condition matches everything."""

    direction: Annotated[tuple[Direction, ...], BeforeValidator(as_list)] = ()
    """Directions of the change."""
    kind: Annotated[tuple[Kind, ...], BeforeValidator(as_list)] = ()
    """Kinds of the asset."""
    currency: Annotated[tuple[Text, ...], BeforeValidator(as_list)] = ()
    """Currency codes."""
    account: Annotated[tuple[Text, ...], BeforeValidator(as_list)] = ()
    """Feishu's account ids."""
    least_amount: Decimal | None = Field(default=None, ge=0)
    """Minimum absolute change, in units of the currency or points."""

    @field_validator("least_amount", mode="before")
    @classmethod
    def _as_exact_decimal(cls, value: object) -> object:
        """Convert via text, so that 0.1 in YAML is exactly one tenth."""
        return str(value) if isinstance(value, float) else value


class RouteConfig(Section):
    """A routing rule: which notices go to which targets."""

    name: str = Field(min_length=1)
    when: ConditionConfig = ConditionConfig()
    to: Annotated[tuple[str, ...], BeforeValidator(as_list)] = Field(min_length=1)
    keep_going: bool = False


class WithdrawalConfig(Section):
    """Withdrawals from cards."""

    offer_to: Annotated[tuple[str, ...], BeforeValidator(as_list)] = ()
    """Targets whose cards have withdraw buttons: `referrer` or group names."""
    kinds: Annotated[tuple[Kind, ...], BeforeValidator(as_list)] = Field(
        default=(Kind.POINTS, Kind.CASH), min_length=1
    )
    """Kinds that can be withdrawn."""
    least_amount: Decimal = Field(default=Decimal(0), ge=0)
    """Minimum balance for an offer."""
    per_minute: int = Field(default=98, gt=0)
    """Maximum calls per minute. Feishu allows 100."""

    @field_validator("least_amount", mode="before")
    @classmethod
    def _as_exact_decimal(cls, value: object) -> object:
        return str(value) if isinstance(value, float) else value


MIN_SECRET_LENGTH = 16


class PayoutConfig(Section):
    """Connection to the company's payroll system."""

    url: str = ""
    """Address that receives payouts; empty: payouts are exported by an operator."""
    secret: Secret = SecretStr("")
    """Key of the signatures in both directions."""
    listen: str = ""
    """host:port of the endpoint for payroll reports; empty: none."""
    timeout_seconds: Number = Field(default=10.0, gt=0, le=30)
    """Limit of one call, in seconds."""
    give_up_after_hours: Number = Field(default=72, gt=0, le=24 * 30)
    """A payout becomes dead after this time without success, in hours."""
    alarm_after_days: Number | None = Field(default=45, gt=0, le=365)
    """An unpaid payout is late after this time, in days; None: never."""
    alarm_group: str | None = None
    """Group that receives alarms; None: the fallback group."""
    contact: OwnLine = OwnLineConfig()
    """Line on HR's cards about a payout with a problem: whom to ask."""

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.fragment:
            raise SettingFault(
                "must be an address such as https://payroll.example.com/payouts",
                "必须是网址，例如 https://payroll.example.com/payouts",
            )
        _ = parts.port  # raises ValueError for an invalid port
        if parts.username or parts.password:
            raise SettingFault(
                "must be an address without a user name or password; calls are signed",
                "网址不能包含用户名或密码；请求已有签名",
            )
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise SettingFault(
                "must use https, because payouts are confidential; http is for a server on this machine",
                "必须使用 https，因为付款信息需要保密；只有本机服务可以用 http",
            )
        return value

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < MIN_SECRET_LENGTH:
            raise SettingFault(
                f"must have at least {MIN_SECRET_LENGTH} characters, so that it cannot be guessed",
                f"至少 {MIN_SECRET_LENGTH} 个字符，以免被猜出",
            )
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
                raise SettingFault(
                    f"{name} needs payouts.secret, which signs the calls between the two systems; set "
                    "NOTIFIER_PAYOUTS__SECRET in the environment",
                    f"{name} 需要 payouts.secret，用于两个系统之间的签名；请设置环境变量 NOTIFIER_PAYOUTS__SECRET",
                )
        return self


class ReferrerConfig(Section):
    """Look-up of the referrers of accounts."""

    max_age_hours: Number = Field(default=24, ge=0, le=24 * 365)
    lookups_per_second: Number = Field(default=9, gt=0)


class ReconciliationConfig(Section):
    """Comparison of the ledger with balances at Feishu."""

    on_connect: bool = True
    every_hours: Number | None = Field(default=6, gt=0, le=24 * 31)
    reads_per_second: Number = Field(default=5, gt=0)
    grace_seconds: Number = Field(default=20, ge=0, le=3600)


class SendingConfig(Section):
    """Rate limits and retries of messages."""

    per_second: Number = Field(default=45, gt=0)
    """Maximum messages per second. Feishu allows 50."""
    per_minute: int = Field(default=975, gt=0)
    """Maximum messages per minute. Feishu allows 1000."""
    per_chat_per_second: Number = Field(default=4.5, gt=0)
    """Maximum messages per second and chat. Feishu allows 5."""
    give_up_after_hours: Number = Field(default=72, gt=0, le=24 * 30)
    """A delivery becomes dead after this time without success, in hours."""


class AnswerConfig(Section):
    """Answers to messages that people send to the bot."""

    enabled: bool = True


class ReplicaConfig(Section):
    """The process among several on one database."""

    name: str = Field(default="", max_length=255)


def _at_least(least: int, reason: str, reason_zh: str) -> AfterValidator:
    def check(value: int) -> int:
        if value < least:
            raise SettingFault(f"must be at least {least}: {reason}", f"不能小于 {least}：{reason_zh}")
        return value

    return AfterValidator(check)


class RetentionConfig(Section):
    """How long finished rows are kept, in days."""

    events_days: Annotated[
        int,
        _at_least(1, "Feishu repeats an event for up to 7 hours", "飞书会在 7 小时内重复推送事件"),
        Field(le=CENTURY_DAYS),
    ] = 30
    deliveries_days: Annotated[
        int,
        _at_least(30, "a card can be pressed and updated for 14 days", "卡片在 14 天内可以点击和更新"),
        Field(le=CENTURY_DAYS),
    ] = 90
