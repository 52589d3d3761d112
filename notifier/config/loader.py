"""Config loader: YAML file, .env file and environment to Config.

Each error names the file, the key path and a solution.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError

from notifier.config.env_file import EnvFile, read_env_file
from notifier.config.fields import LossyInt, Section, text_fault
from notifier.config.partial import find_reference_faults
from notifier.config.sections import GroupConfig
from notifier.config.settings import Config, suggest_name
from notifier.errors import ConfigError

DEFAULT_FILE = "config.yaml"
PREFIX = "NOTIFIER_"

WELL_KNOWN_VARIABLES: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("feishu", "app_id"): ("FEISHU_APP_ID", "LARK_APP_ID", "APP_ID"),
    ("feishu", "app_secret"): ("FEISHU_APP_SECRET", "LARK_APP_SECRET", "APP_SECRET"),
}
"""Environment variables besides NOTIFIER_<SECTION>__<KEY>. The first one that is set has priority."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedConfig:
    """The configuration and the sources of its values."""

    config: Config
    file: Path | None
    """None: no config file."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Environment variable by key path, for values from the environment; `path: NAME` for those from a .env file."""
    overridden: Mapping[str, str] = field(default_factory=dict)
    """Environment variables that are set but not used -> the variable that is used instead."""


SERVICE_LINK = re.compile(
    rf"{PREFIX}(?:[A-Z0-9]+_)*"
    r"(?:SERVICE_HOST=.*|SERVICE_PORT(?:_[A-Z0-9]+)*=\d+"
    r"|PORT(?:_\d+_(?:TCP|UDP|SCTP))?=(?:tcp|udp|sctp)://.*|PORT_\d+_(?:TCP|UDP|SCTP)_(?:PROTO|PORT|ADDR)=.*)"
)
"""NAME=value of what Kubernetes sets in every container for a Service called `notifier`, or `notifier-...`. The value
counts too: NOTIFIER_HEALTH_PORT=8080 is a setting that somebody got wrong."""

OWN_LINES = (("cards", "contact"), ("cards", "payday"))
"""Texts for people: white space at their ends does no harm."""


def load_config(path: Path | None, environ: Mapping[str, str] | None = None) -> LoadedConfig:
    """Load the configuration. The environment has priority over `.env`, which has priority over the YAML file.

    The `.env` file stands beside the YAML file; without one, in the current folder. path: None means config.yaml in
    the current folder, if it exists. environ: None means the process environment. Raises ConfigError.
    """
    environ = os.environ if environ is None else environ
    file = path if path is not None else _default_file()
    document = _read(file) if file is not None else {}
    folder = file.parent if file is not None else Path()
    origins, overridden, findings = _apply_environment(document, environ, read_env_file(folder, _is_variable))
    where = str(file) if file is not None else "the environment"
    findings += [
        f"{_place(path, where, origins)}: {path}: {fault}." for path, fault in _text_faults(document, ())
    ]
    try:
        config = Config.model_validate(_resolve_paths(document, file))
    except ValidationError as error:
        errors = error.errors()
        findings += [line for each in errors for line in _format_finding(each, where, origins)]
        if any(each["loc"] for each in errors):  # then the checks across sections did not run
            faulty = {_shown_path(each["loc"]) for each in errors}
            findings += [
                f"{_place(key, where, origins)}: {key}: {text}."
                for key, _, text in (each.partition(": ") for each in find_reference_faults(document))
                if key not in faulty
            ]
        raise ConfigError("\n".join(dict.fromkeys(findings))) from None
    if findings:
        raise ConfigError("\n".join(dict.fromkeys(findings)))
    return LoadedConfig(config=config, file=file, origins=origins, overridden=overridden)


def _default_file() -> Path | None:
    file = Path(DEFAULT_FILE)
    return file if file.exists() else None


def require_credentials(loaded: LoadedConfig) -> None:
    """Raises ConfigError if the app id or secret is missing: all calls to Feishu need them."""
    feishu = loaded.config.feishu
    for key, value in (("app_id", feishu.app_id), ("app_secret", feishu.app_secret.get_secret_value())):
        if not value:
            variable = WELL_KNOWN_VARIABLES["feishu", key][0]
            raise ConfigError(
                f"{loaded.file or 'no config file'}: feishu.{key} is missing. Run `notifier init`, or set "
                f"{variable} in the environment or in .env. The developer console shows it under Credentials."
            )


def _read(file: Path) -> dict[str, Any]:
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{file}: there is no such file. Run `notifier init` to write one, or name yours with --config."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(
            f"{file}: cannot be read: {reason}. Check its permissions and that it is a text file."
        ) from None
    try:
        document = _make_yaml().load(text)
    except (YAMLError, ValueError, RecursionError) as error:  # ValueError: a 13th month
        raise ConfigError(f"{file}: {_format_yaml_error(error)}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(f"{file}: must hold `key: value` lines, as config.example.yaml does.")
    return document


def _make_yaml() -> Any:  # noqa: ANN401 - ruamel is imported where a file is read
    from ruamel.yaml import YAML  # noqa: PLC0415 - see _read
    from ruamel.yaml.constructor import SafeConstructor  # noqa: PLC0415

    class Constructor(SafeConstructor):
        """Keeps the text of a number that is written in another form than its digits."""

    def construct_int(constructor: SafeConstructor, node: Any) -> int:  # noqa: ANN401 - ruamel's own node
        number = int(constructor.construct_yaml_int(node))
        if node.value == str(number):
            return number
        lossy = LossyInt(number)
        lossy.text = node.value
        return lossy

    Constructor.add_constructor("tag:yaml.org,2002:int", construct_int)
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = Constructor
    return yaml


def _format_yaml_error(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    problem = str(getattr(error, "problem", "") or "").split("\n", 1)[0]
    if "duplicate key" in problem:
        return f"{place}{problem}. Keep one of the two."
    if "'\\t'" in problem:
        return f"{place}a tab stands where only spaces are allowed. Use spaces."
    return f"{place}this is not YAML: {problem or 'it cannot be parsed'}. Check the indentation and the colons there."


def _apply_environment(
    document: dict[str, Any], environ: Mapping[str, str], env_file: EnvFile
) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Write the values of the environment and of the .env file into the document. Any name of the environment wins.

    Returns LoadedConfig.origins, LoadedConfig.overridden, and a sentence for each variable that is no setting.
    """
    origins: dict[str, str] = {}
    overridden: dict[str, str] = {}
    for path in _scalar_paths():
        names = list_variables(path)
        present = [(name, environ[name]) for name in names if environ.get(name)]
        present += [
            (f"{env_file.path}: {name}", env_file.values[name]) for name in names if env_file.values.get(name)
        ]
        if not present:
            continue
        (used, value), *unused = present
        _set_value(document, path, value)
        origins[".".join(path)] = used
        overridden |= {name: used for name, _ in unused}
    findings = [
        f"the environment: {name} is not a setting{suggest_name(name, sorted(_variables()))}. Unset it or correct it."
        for name in _unknown_variables(environ)
    ]
    findings += [
        f"{env_file.path}: {name} is not a setting{suggest_name(name, sorted(_variables()))}. Remove it or correct it."
        for name in _unknown_variables(env_file.values)
    ]
    return origins, overridden, findings


def _unknown_variables(values: Mapping[str, str]) -> list[str]:
    return [
        name
        for name in sorted(values)
        if name.startswith(PREFIX)
        and name not in _variables()
        and not name.startswith(f"{PREFIX}TESTS_")
        and SERVICE_LINK.fullmatch(f"{name}={values[name]}") is None
    ]


def _is_variable(name: str) -> bool:
    well_known = {each for names in WELL_KNOWN_VARIABLES.values() for each in names}
    return name.startswith(PREFIX) or name in well_known


def _scalar_paths() -> list[tuple[str, ...]]:
    """Key paths of all settings with a single value."""
    paths: list[tuple[str, ...]] = []
    for section, info in Config.model_fields.items():
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, Section):
            paths += [(section, key) for key in annotation.model_fields]
    return [*paths, ("fallback_group",)]


def _secret_paths() -> set[str]:
    """Key paths of the settings whose values no error shows."""
    sections = ((name, info.annotation) for name, info in Config.model_fields.items())
    return {
        f"{name}.{key}"
        for name, section in sections
        if isinstance(section, type) and issubclass(section, Section)
        for key, info in section.model_fields.items()
        if info.annotation is SecretStr
    }


def _variable(path: tuple[str, ...]) -> str:
    return PREFIX + "__".join(path).upper()


def list_variables(path: tuple[str, ...]) -> list[str]:
    """Return the names of the environment variables of a setting. The first one that is set has priority."""
    return [_variable(path), *WELL_KNOWN_VARIABLES.get(path, ())]


def _variables() -> set[str]:
    return {_variable(path) for path in _scalar_paths()}


def _set_value(document: dict[str, Any], path: tuple[str, ...], value: str) -> None:
    *sections, key = path
    place = document
    for section in sections:
        inner = place.get(section)
        if inner is None:
            inner = place[section] = {}
        if not isinstance(inner, dict):
            return  # the validation reports the error
        place = inner
    place[key] = value


def _resolve_paths(document: dict[str, Any], file: Path | None) -> dict[str, Any]:
    """Resolve a relative template folder from the folder of the config file, not from the current folder."""
    cards = document.get("cards")
    if file is not None and isinstance(cards, dict) and isinstance(cards.get("template_dir"), str):
        return {**document, "cards": {**cards, "template_dir": file.parent / cards["template_dir"]}}
    return document


def _format_finding(first: Mapping[str, Any], where: str, origins: Mapping[str, str]) -> list[str]:
    """One error of the validation as sentences: one, or one per line of a validator with several findings."""
    path = _shown_path(first["loc"])
    place = _place(path, where, origins)
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "value_error":
        return [
            f"{place}: {path}: {message}." if path else f"{place}: {each}." for each in message.split("\n")
        ]
    return [f"{place}: {path}: {_describe(first, path, message)}"]


def _place(path: str, where: str, origins: Mapping[str, str]) -> str:
    source = origins.get(path)
    if source is None:
        return where
    return (
        source if ": " in source else f"the environment ({source})"
    )  # the first one is `path of .env: NAME`


def _text_faults(value: object, loc: tuple[int | str, ...]) -> Iterator[tuple[str, str]]:
    """Key path and fault of every text in the document, also of those that their own checks would accept."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _text_faults(inner, (*loc, str(key)))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _text_faults(inner, (*loc, number))
    elif isinstance(value, str) and (fault := text_fault(value, has_lines=loc[:2] in OWN_LINES)):
        yield _shown_path(loc), fault


_SENTENCES = {
    "missing": "this key is missing. Add it; config.example.yaml shows how.",
    "tuple_type": "must be one value or a list of them. See config.example.yaml.",
    "too_short": "must not be empty. See config.example.yaml.",
} | dict.fromkeys(
    ("model_type", "dict_type", "mapping_type"), "must hold `key: value` lines, indented under it."
)


def _describe(first: Mapping[str, Any], path: str, message: str) -> str:
    if first["type"] == "extra_forbidden":
        known = _known_keys(first["loc"])
        return f"there is no such key{suggest_name(str(first['loc'][-1]), known)}."
    if first["type"] == "string_type" and type(first.get("input")) in {int, float, LossyInt}:
        return "must be text; put it in quotes."
    if sentence := _SENTENCES.get(first["type"]):
        return sentence
    got = "" if path in _secret_paths() else f" (it is {_short(first.get('input'))})"
    return f"{message[:1].lower()}{message[1:]}{got}. See config.example.yaml."


def _shown_path(loc: tuple[int | str, ...]) -> str:
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _known_keys(loc: tuple[int | str, ...]) -> list[str]:
    """The valid keys at the place of an unknown key."""
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


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
