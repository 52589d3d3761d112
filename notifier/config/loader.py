"""Config loader: YAML file, .env file and environment to Config.

Each error names the file, the key path and a solution.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from notifier.config.env_file import EnvFile, read_env_file
from notifier.config.error_texts import describe_error, show_path
from notifier.config.fields import LossyInt, Section, SettingFault, text_fault
from notifier.config.partial import find_reference_faults
from notifier.config.settings import Config, suggest_name
from notifier.domain.card import Bilingual
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

ENVIRONMENT = Bilingual(zh="环境变量", en="the environment")
"""The place of a setting in an error."""

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
    where = Bilingual(zh=str(file), en=str(file)) if file is not None else ENVIRONMENT
    findings += [
        _finding(_place(path, where, origins), path, fault) for path, fault in _text_faults(document, ())
    ]
    try:
        config = Config.model_validate(_resolve_paths(document, file))
    except ValidationError as error:
        errors = error.errors()
        findings += [line for each in errors for line in _format_finding(each, where, origins)]
        if any(each["loc"] for each in errors):  # then the checks across sections did not run
            faulty = {show_path(each["loc"]) for each in errors}
            findings += [
                _finding(_place(each.key, where, origins), each.key, each.text)
                for each in find_reference_faults(document)
                if each.key not in faulty
            ]
        raise _join(findings) from None
    if findings:
        raise _join(findings)
    return LoadedConfig(config=config, file=file, origins=origins, overridden=overridden)


def _finding(place: Bilingual, path: str, text: Bilingual) -> Bilingual:
    """A sentence on a setting. text: completes it, without a full stop."""
    return Bilingual(zh=f"{place.zh}：{path}：{text.zh}。", en=f"{place.en}: {path}: {text.en}.")


def _join(findings: Sequence[Bilingual]) -> ConfigError:
    """The error with all findings, one per line, each once."""
    lines = list(dict.fromkeys(findings))
    return ConfigError("\n".join(each.en for each in lines), zh="\n".join(each.zh for each in lines))


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
                f"{variable} in the environment or in .env. The developer console shows it under Credentials & Basic "
                "Info.",
                zh=f"{loaded.file or '没有配置文件'}：缺少 feishu.{key}。请运行 `notifier init`，或在环境变量或 .env 中"
                f"设置 {variable}，值见开发者后台“凭证与基础信息”。",
            )


def _read(file: Path) -> dict[str, Any]:
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{file}: there is no such file. Run `notifier init` to write one, or name yours with --config.",
            zh=f"{file}：没有这个文件。请运行 `notifier init` 生成，或用 --config 指定。",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        reason_zh = error.strerror if isinstance(error, OSError) else "不是 UTF-8 文本"
        raise ConfigError(
            f"{file}: cannot be read: {reason}. Check its permissions and that it is a text file.",
            zh=f"{file}：无法读取（{reason_zh}）。请检查权限，并确认它是文本文件。",
        ) from None
    try:
        document = _make_yaml().load(text)
    except (YAMLError, ValueError, RecursionError) as error:  # ValueError: a 13th month
        problem = _format_yaml_error(error)
        raise ConfigError(f"{file}: {problem.en}", zh=f"{file}：{problem.zh}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(
            f"{file}: must hold `key: value` lines, as config.example.yaml does.",
            zh=f"{file}：应为 `key: value` 格式的行，参照 config.example.yaml。",
        )
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


def _format_yaml_error(error: Exception) -> Bilingual:
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    place_zh = f"第 {mark.line + 1} 行第 {mark.column + 1} 列：" if mark is not None else ""
    problem = str(getattr(error, "problem", "") or "").split("\n", 1)[0]
    if "duplicate key" in problem:
        return Bilingual(
            zh=f"{place_zh}键重复（“{problem}”）。请只保留一处。",
            en=f"{place}{problem}. Keep one of the two.",
        )
    if "'\\t'" in problem:
        return Bilingual(
            zh=f"{place_zh}此处只能用空格，不能用制表符。请改用空格。",
            en=f"{place}a tab stands where only spaces are allowed. Use spaces.",
        )
    return Bilingual(
        zh=f"{place_zh}不是有效的 YAML{f'（“{problem}”）' if problem else ''}。请检查此处的缩进和冒号。",
        en=f"{place}this is not YAML: {problem or 'it cannot be parsed'}. Check the indentation and the colons there.",
    )


def _apply_environment(
    document: dict[str, Any], environ: Mapping[str, str], env_file: EnvFile
) -> tuple[dict[str, str], dict[str, str], list[Bilingual]]:
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
        _unknown_variable(ENVIRONMENT, name, "Unset", "取消设置") for name in _unknown_variables(environ)
    ]
    file = Bilingual(zh=str(env_file.path), en=str(env_file.path))
    findings += [
        _unknown_variable(file, name, "Remove", "删除") for name in _unknown_variables(env_file.values)
    ]
    return origins, overridden, findings


def _unknown_variable(place: Bilingual, name: str, verb: str, verb_zh: str) -> Bilingual:
    """A sentence on a variable that is no setting. verb: how it is removed."""
    hint = suggest_name(name, sorted(_variables()))
    return Bilingual(
        zh=f"{place.zh}：{name} 不是配置项{hint.zh}。请{verb_zh}或改正。",
        en=f"{place.en}: {name} is not a setting{hint.en}. {verb} it or correct it.",
    )


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


def _format_finding(
    first: Mapping[str, Any], where: Bilingual, origins: Mapping[str, str]
) -> list[Bilingual]:
    """One error of the validation as sentences: one, or one per line of a validator with several findings."""
    path = show_path(first["loc"])
    place = _place(path, where, origins)
    if first["type"] != "value_error":
        text = describe_error(first, is_secret=path in _secret_paths())
        return [Bilingual(zh=f"{place.zh}：{path}：{text.zh}", en=f"{place.en}: {path}: {text.en}")]
    message = str(first["msg"]).removeprefix("Value error, ")
    cause = first.get("ctx", {}).get("error")
    message_zh = cause.zh if isinstance(cause, SettingFault) else f"值无效（“{message}”）"
    if path:
        return [_finding(place, path, Bilingual(zh=message_zh, en=message))]
    lines = zip(message.split("\n"), message_zh.split("\n"), strict=True)
    return [Bilingual(zh=f"{place.zh}：{zh}。", en=f"{place.en}: {en}.") for en, zh in lines]


def _place(path: str, where: Bilingual, origins: Mapping[str, str]) -> Bilingual:
    source = origins.get(path)
    if source is None:
        return where
    if ": " in source:  # `path of .env: NAME`
        return Bilingual(zh=source.replace(": ", "：", 1), en=source)
    return Bilingual(zh=f"{ENVIRONMENT.zh} {source}", en=f"{ENVIRONMENT.en} ({source})")


def _text_faults(value: object, loc: tuple[int | str, ...]) -> Iterator[tuple[str, Bilingual]]:
    """Key path and fault of every text in the document, also of those that their own checks would accept."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _text_faults(inner, (*loc, str(key)))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _text_faults(inner, (*loc, number))
    elif isinstance(value, str) and (fault := text_fault(value, has_lines=loc[:2] in OWN_LINES)):
        yield show_path(loc), fault
