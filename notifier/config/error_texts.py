"""Sentences on a value that is not valid, in English and Chinese, by the error of pydantic."""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel

from notifier.config.fields import LossyInt
from notifier.config.sections import GroupConfig
from notifier.config.settings import Config, suggest_name
from notifier.domain.card import Bilingual

_SENTENCES = {
    "missing": Bilingual(
        zh="缺少该项。请添加，写法见 config.example.yaml。",
        en="this key is missing. Add it; config.example.yaml shows how.",
    ),
    "tuple_type": Bilingual(
        zh="必须是一个值或一个列表。见 config.example.yaml。",
        en="must be one value or a list of them. See config.example.yaml.",
    ),
    "too_short": Bilingual(
        zh="不能为空。见 config.example.yaml。", en="must not be empty. See config.example.yaml."
    ),
} | dict.fromkeys(
    ("model_type", "dict_type", "mapping_type"),
    Bilingual(zh="应为缩进的 `key: value` 行。", en="must hold `key: value` lines, indented under it."),
)

_WANTED_ZH = {
    "bool_parsing": "必须是 true 或 false",
    "bool_type": "必须是 true 或 false",
    "int_parsing": "必须是整数",
    "int_type": "必须是整数",
    "int_from_float": "必须是整数",
    "float_parsing": "必须是数字",
    "float_type": "必须是数字",
    "decimal_parsing": "必须是数字",
    "decimal_type": "必须是数字",
    "finite_number": "必须是有限的数字",
    "string_type": "必须是文本",
    "string_too_short": "至少 {min_length} 个字符",
    "string_too_long": "不能超过 {max_length} 个字符",
    "greater_than": "必须大于 {gt}",
    "greater_than_equal": "不能小于 {ge}",
    "less_than": "必须小于 {lt}",
    "less_than_equal": "不能大于 {le}",
    "enum": "必须是以下之一：{expected}",
    "literal_error": "必须是以下之一：{expected}",
    "date_type": "必须是日期，例如 2026-10-01",
    "date_parsing": "必须是日期，例如 2026-10-01",
    "date_from_datetime_parsing": "必须是日期，例如 2026-10-01",
    "date_from_datetime_inexact": "必须是日期，例如 2026-10-01",
    "path_type": "必须是路径",
}
"""Chinese sentences of pydantic's errors, by type. Others keep the English one after a Chinese lead-in."""


def describe_error(first: Mapping[str, Any], *, is_secret: bool) -> Bilingual:
    """Return the sentence on an error of the validation. is_secret: the value is not shown."""
    if first["type"] == "extra_forbidden":
        hint = suggest_name(str(first["loc"][-1]), _known_keys(first["loc"]))
        return Bilingual(zh=f"没有这个配置项{hint.zh}。", en=f"there is no such key{hint.en}.")
    if first["type"] == "string_type" and type(first.get("input")) in {int, float, LossyInt}:
        return Bilingual(zh="必须是文本，请加引号。", en="must be text; put it in quotes.")
    if sentence := _SENTENCES.get(first["type"]):
        return sentence
    shown = "" if is_secret else _short(first.get("input"))
    message = str(first["msg"])
    wanted = _WANTED_ZH.get(first["type"])
    values = {name: str(value).replace(" or ", ", ") for name, value in first.get("ctx", {}).items()}
    message_zh = f"不符合要求（“{message}”）" if wanted is None else wanted.format_map(values)
    return Bilingual(
        zh=f"{message_zh}{shown and f'（当前为 {shown}）'}。见 config.example.yaml。",
        en=f"{message[:1].lower()}{message[1:]}{shown and f' (it is {shown})'}. See config.example.yaml.",
    )


def show_path(loc: tuple[int | str, ...]) -> str:
    """Return the key path as people write it, such as digests[0].to."""
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
