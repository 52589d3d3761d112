"""Config: YAML and environment -> frozen values, checked once. Every complaint names file, key path and a way out."""

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from notifier.domain.money import Kind
from notifier.domain.notice import Direction
from notifier.domain.route import REFERRER
from notifier.errors import ConfigError

DEFAULT_FILE = "config.yaml"
PREFIX = "NOTIFIER_"
GROUP_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")

WELL_KNOWN: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("feishu", "app_id"): ("FEISHU_APP_ID", "LARK_APP_ID", "APP_ID"),
    ("feishu", "app_secret"): ("FEISHU_APP_SECRET", "LARK_APP_SECRET", "APP_SECRET"),
}
"""Names from the environment that are honoured besides NOTIFIER_<SECTION>__<KEY>, the first that is set wins."""


class _Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, validate_default=True
    )


def _as_zone(value: object) -> ZoneInfo:
    if isinstance(value, ZoneInfo):
        return value
    try:
        return ZoneInfo(str(value))
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{value!r} is no IANA time zone; write for example Asia/Shanghai") from error


Zone = Annotated[ZoneInfo, BeforeValidator(_as_zone)]


def _as_text(value: object) -> object:
    """YAML reads unquoted digits as numbers; ids are text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Text = Annotated[str, BeforeValidator(_as_text)]


class FeishuConfig(_Section):
    base_url: str = "https://open.feishu.cn"
    app_id: Text = ""
    app_secret: Annotated[SecretStr, BeforeValidator(_as_text)] = SecretStr("")
    timeout_seconds: float = Field(default=10.0, gt=0, le=30)

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(
                "must be an address such as https://open.feishu.cn or https://open.larksuite.com"
            )
        _ = parts.port  # raises for a port that is none
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


class StoreConfig(_Section):
    url: str = "sqlite:///data/notifier.db"

    @field_validator("url")
    @classmethod
    def _sqlite(cls, value: str) -> str:
        if not value.startswith("sqlite:///"):
            raise ValueError(
                "must be sqlite:///path/to/notifier.db (four slashes for an absolute path); there is no other yet"
            )
        return value


class CardConfig(_Section):
    time_zone: Zone = ZoneInfo("Asia/Shanghai")
    template_dir: Path | None = None

    @field_validator("template_dir")
    @classmethod
    def _folder(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            raise ValueError(
                f"{value} is no folder; make it, or leave the key out to use the shipped templates"
            )
        return value


class GroupConfig(_Section):
    chat_id: Text

    @field_validator("chat_id")
    @classmethod
    def _chat_id(cls, value: str) -> str:
        if not re.fullmatch(r"oc_[A-Za-z0-9_]{1,100}", value):
            raise ValueError(
                "is no chat id; it starts with oc_ (open the group's settings in Feishu to copy it)"
            )
        return value


def _as_list(value: object) -> object:
    """One value may stand without brackets."""
    return [value] if isinstance(value, str | int) and not isinstance(value, bool) else value


class WhenConfig(_Section):
    direction: Annotated[tuple[Direction, ...], BeforeValidator(_as_list)] = ()
    kind: Annotated[tuple[Kind, ...], BeforeValidator(_as_list)] = ()
    currency: Annotated[tuple[Text, ...], BeforeValidator(_as_list)] = ()
    account: Annotated[tuple[Text, ...], BeforeValidator(_as_list)] = ()
    least_amount: Decimal | None = Field(default=None, ge=0)

    @field_validator("least_amount", mode="before")
    @classmethod
    def _exactly(cls, value: object) -> object:
        """0.1 in YAML means a tenth, not the nearest binary fraction."""
        return str(value) if isinstance(value, float) else value


class RouteConfig(_Section):
    name: str = Field(min_length=1)
    when: WhenConfig = WhenConfig()
    to: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = Field(min_length=1)
    keep_going: bool = False


class ReferrerConfig(_Section):
    max_age_hours: float = Field(default=24, ge=0, le=24 * 365)
    lookups_per_second: float = Field(default=9, gt=0, le=10)


class SendingConfig(_Section):
    per_second: float = Field(default=40, gt=0, le=50)
    per_minute: int = Field(default=975, gt=0, le=1000)
    per_chat_per_second: float = Field(default=4.5, gt=0, le=5)
    give_up_after_hours: float = Field(default=72, gt=0, le=24 * 30)


class LogConfig(_Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Config(_Section):
    """All settings. config.example.yaml explains each."""

    feishu: FeishuConfig = FeishuConfig()
    store: StoreConfig = StoreConfig()
    cards: CardConfig = CardConfig()
    groups: Mapping[str, GroupConfig] = Field(default_factory=dict)
    fallback_group: str | None = None
    routes: tuple[RouteConfig, ...] = (RouteConfig(name="to the referrer", to=(REFERRER,)),)
    referrers: ReferrerConfig = ReferrerConfig()
    sending: SendingConfig = SendingConfig()
    log: LogConfig = LogConfig()

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        for name in self.groups:
            if name == REFERRER or not GROUP_NAME.fullmatch(name):
                raise ValueError(
                    f"groups.{name}: a group's name is lower-case letters, digits, - and _, begins with a letter, "
                    f"and is not `{REFERRER}`"
                )
        if self.fallback_group is not None and self.fallback_group not in self.groups:
            raise ValueError(f"fallback_group: {self._no_group(self.fallback_group)}")
        for number, route in enumerate(self.routes):
            for target in route.to:
                if target != REFERRER and target not in self.groups:
                    raise ValueError(f"routes[{number}].to: {self._no_group(target)}")
        names = [route.name for route in self.routes]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"routes: two of them are called {twice!r}; give each a name of its own")
        return self

    def _no_group(self, name: str) -> str:
        return (
            f"there is no group called {name!r} under `groups`{_did_you_mean(name, [*self.groups, REFERRER])}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """config, and where its values came from. origins: by key path, for what the environment set.
    overruled: names in the environment that were set but not used, with the one that was.
    """

    config: Config
    file: Path | None
    origins: Mapping[str, str] = field(default_factory=dict)
    overruled: Mapping[str, str] = field(default_factory=dict)


def load(path: Path | None, environ: Mapping[str, str] | None = None) -> Loaded:
    """path: None means config.yaml in the working folder if there is one. Raises ConfigError."""
    environ = os.environ if environ is None else environ
    file = path if path is not None else _default_file()
    document = _read(file) if file is not None else {}
    origins, overruled = _overlay(document, environ)
    where = str(file) if file is not None else "the environment"
    try:
        config = Config.model_validate(_resolve_paths(document, file))
    except ValidationError as error:
        raise ConfigError(_complaint(error, where, origins)) from None
    return Loaded(config=config, file=file, origins=origins, overruled=overruled)


def _default_file() -> Path | None:
    file = Path(DEFAULT_FILE)
    return file if file.exists() else None


def need_credentials(loaded: Loaded) -> None:
    """Raises ConfigError when the app's id or secret is missing: without them nothing can talk to Feishu."""
    feishu = loaded.config.feishu
    for key, value in (("app_id", feishu.app_id), ("app_secret", feishu.app_secret.get_secret_value())):
        if not value:
            variable = WELL_KNOWN["feishu", key][0]
            raise ConfigError(
                f"{loaded.file or 'no config file'}: feishu.{key} is missing. Set it there, or in the environment as "
                f"{variable} (you find it in the developer console under Credentials)."
            )


def _read(file: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML  # noqa: PLC0415 - not every command reads a file
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{file}: there is no such file. Copy config.example.yaml to {DEFAULT_FILE}, or name yours with --config."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(
            f"{file}: cannot be read: {reason}. Check its permissions and that it is a text file."
        ) from None
    try:
        document = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError) as error:  # ValueError: a 13th month
        raise ConfigError(f"{file}: {_yaml_fault(error)}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(f"{file}: must hold `key: value` lines, as config.example.yaml does.")
    return document


def _yaml_fault(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    problem = str(getattr(error, "problem", "") or "").split("\n", 1)[0]
    if "duplicate key" in problem:
        return f"{place}{problem}. Keep one of the two."
    return f"{place}this is not YAML: {problem or 'it cannot be parsed'}. Check the indentation and the colons there."


def _overlay(document: dict[str, Any], environ: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Writes values of the environment into the document: NOTIFIER_FEISHU__APP_ID and the well-known names.

    Returns what was set by which name, and which names lost.
    """
    origins: dict[str, str] = {}
    overruled: dict[str, str] = {}
    for path in _scalar_paths():
        names = [_variable(path), *WELL_KNOWN.get(path, ())]
        present = [name for name in names if environ.get(name)]
        if not present:
            continue
        winner, *losers = present
        _put(document, path, environ[winner])
        origins[".".join(path)] = winner
        overruled |= dict.fromkeys(losers, winner)
    unknown = [name for name in sorted(environ) if name.startswith(PREFIX) and name not in _variables()]
    unknown = [name for name in unknown if not name.startswith(f"{PREFIX}TESTS_")]
    if unknown:
        hint = _did_you_mean(unknown[0], sorted(_variables()))
        raise ConfigError(f"the environment: {unknown[0]} names no setting{hint}. Unset it or correct it.")
    return origins, overruled


def _scalar_paths() -> list[tuple[str, ...]]:
    """Every setting that is one value, as (section, key)."""
    paths: list[tuple[str, ...]] = []
    for section, info in Config.model_fields.items():
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, _Section):
            paths += [(section, key) for key in annotation.model_fields]
    return [*paths, ("fallback_group",)]


def _variable(path: tuple[str, ...]) -> str:
    return PREFIX + "__".join(path).upper()


def _variables() -> set[str]:
    return {_variable(path) for path in _scalar_paths()}


def _put(document: dict[str, Any], path: tuple[str, ...], value: str) -> None:
    *sections, key = path
    place = document
    for section in sections:
        inner = place.get(section)
        if inner is None:
            inner = place[section] = {}
        if not isinstance(inner, dict):
            return  # the check below says what is wrong with it
        place = inner
    place[key] = value


def _resolve_paths(document: dict[str, Any], file: Path | None) -> dict[str, Any]:
    """A relative template folder is meant from the config file, not from wherever one happens to stand."""
    cards = document.get("cards")
    if file is not None and isinstance(cards, dict) and isinstance(cards.get("template_dir"), str):
        return {**document, "cards": {**cards, "template_dir": file.parent / cards["template_dir"]}}
    return document


def _complaint(error: ValidationError, where: str, origins: Mapping[str, str]) -> str:
    """The first thing that is wrong, in one sentence."""
    first = error.errors()[0]
    path = _shown_path(first["loc"])
    source = origins.get(path)
    place = f"the environment ({source})" if source else where
    message = str(first["msg"]).removeprefix("Value error, ")
    match first["type"]:
        case "extra_forbidden":
            known = _known_keys(first["loc"])
            return f"{place}: {path}: there is no such key{_did_you_mean(str(first['loc'][-1]), known)}."
        case "missing":
            return f"{place}: {path}: this key is missing. Add it; config.example.yaml shows how."
        case "value_error" if not path:
            return f"{place}: {message}."
        case "value_error":
            return f"{place}: {path}: {message}."
        case "model_type" | "dict_type" | "mapping_type":
            return f"{place}: {path}: must hold `key: value` lines of its own, indented under it."
        case _:
            got = "" if "secret" in path else f" (it is {_short(first.get('input'))})"
            return f"{place}: {path}: {message[:1].lower()}{message[1:]}{got}. See config.example.yaml."


def _shown_path(loc: tuple[int | str, ...]) -> str:
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _known_keys(loc: tuple[int | str, ...]) -> list[str]:
    """The keys that may stand where an unknown one stood."""
    model: Any = Config
    for part in loc[:-1]:
        if isinstance(part, int) or not (isinstance(model, type) and issubclass(model, BaseModel)):
            continue
        info = model.model_fields.get(str(part))
        model = _section_in(info.annotation) if info else GroupConfig
    return sorted(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _section_in(annotation: Any) -> Any:  # noqa: ANN401 - whatever an annotation may be
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _section_in(arg)) is not None), None)


def _did_you_mean(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f" (there are: {', '.join(known)})" if 0 < len(known) <= 12 else ""


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
