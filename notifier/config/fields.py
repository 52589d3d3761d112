"""Types of settings that several sections share."""

import re
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr

from notifier.domain.card import Bilingual


class SettingFault(ValueError):
    """A value is not valid. The text completes "KEY: …", without a full stop. str() is the English one."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.zh = zh


class Section(BaseModel):
    """A group of settings. Unknown keys are errors; values are immutable."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, validate_default=True
    )


def _as_zone(value: object) -> ZoneInfo:
    if isinstance(value, ZoneInfo):
        return value
    try:
        return ZoneInfo(str(value))
    except (OSError, ValueError, KeyError) as error:
        raise SettingFault(
            f"{value!r} is not an IANA time zone. Example: Asia/Shanghai",
            f"{value!r} 不是 IANA 时区，示例：Asia/Shanghai",
        ) from error


Zone = Annotated[ZoneInfo, BeforeValidator(_as_zone)]


class LossyInt(int):
    """A number of the file whose text is another one than its digits, such as 0123, 0x12 or 1_000."""

    text: str


_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)(?::?[-?+=][^}]*)?\}|\(([A-Za-z_]\w*)\))", re.ASCII)
_BARE_VARIABLE = re.compile(r"\s*\$([A-Za-z_]\w*)\s*", re.ASCII)


def _as_text(value: object) -> object:
    """YAML reads unquoted digits as numbers; ids are text. Leading zeros and other notations would be lost."""
    if isinstance(value, LossyInt):
        raise SettingFault(
            f"{value.text} would lose its form as a number; put it in quotes",
            f"{value.text} 作为数字会变形，请加引号",
        )
    if isinstance(value, str) and (fault := text_fault(value)):
        raise SettingFault(fault.en, fault.zh)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


_INVISIBLE = {
    "\n": Bilingual(zh="换行", en="a line break"),
    "\r": Bilingual(zh="回车符", en="a carriage return"),
    "\t": Bilingual(zh="制表符", en="a tab"),
    " ": Bilingual(zh="空格", en="a blank"),
    "\u00a0": Bilingual(zh="不换行空格", en="a no-break space"),
    "\u200b": Bilingual(zh="零宽空格", en="a zero-width space"),
    "\ufeff": Bilingual(zh="字节顺序标记（BOM）", en="a byte order mark"),
}


def text_fault(text: str, *, has_lines: bool = False) -> Bilingual | None:
    """Return what is wrong with any text of a setting: a variable that nothing replaced, or an end that nobody sees.

    has_lines: a text for people, whose white space at the ends does no harm. The value itself is never returned,
    because it may be a secret.
    """
    found = _VARIABLE.search(text) or _BARE_VARIABLE.fullmatch(text)
    if found is not None:
        name = next(filter(None, found.groups()))
        return Bilingual(
            zh=f"含有变量名 ${{{name}}}，而不是它的值。这里不会替换变量，请直接填写，或用环境变量设置该项",
            en=f"holds ${{{name}}}, the name of a variable and not its value. No variable is replaced here; write the "
            "value, or set the setting in the environment",
        )
    for where, where_zh, char in (("begins", "开头", text[:1]), ("ends", "末尾", text[-1:])):
        if char in _INVISIBLE and not has_lines:
            found_char = _INVISIBLE[char]
            return Bilingual(
                zh=f"{where_zh}有{found_char.zh}，请删除", en=f"{where} with {found_char.en}; remove it"
            )
    return None


def _check_secret(value: object) -> object:
    """A secret is compared byte by byte. Copying often adds a character that nobody sees. No error shows the secret."""
    if isinstance(value, LossyInt):
        raise SettingFault("would lose its form as a number; put it in quotes", "作为数字会变形，请加引号")
    text = _as_text(value)
    if not isinstance(text, str):
        return text
    for where, where_zh, char in (("begins", "开头", text[:1]), ("ends", "末尾", text[-1:])):
        if char in {'"', "'"}:
            raise SettingFault(f"{where} with a quotation mark; remove it", f"{where_zh}有引号，请删除")
    inside = next((char for char in text if not char.isprintable()), None)
    if inside is not None:
        number = f"U+{ord(inside):04X}"
        hidden = _INVISIBLE.get(
            inside, Bilingual(zh=f"不可见字符 {number}", en=f"the invisible character {number}")
        )
        raise SettingFault(f"holds {hidden.en}; remove it", f"含有{hidden.zh}，请删除")
    return text


Text = Annotated[str, BeforeValidator(_as_text)]


def _reject_bool(value: object) -> object:
    if isinstance(value, bool):
        raise SettingFault("must be a number, not true or false", "必须是数字，不能是 true 或 false")
    return value


Number = Annotated[float, BeforeValidator(_reject_bool)]


Secret = Annotated[SecretStr, BeforeValidator(_check_secret)]


def listen_address(text: str) -> tuple[str, int]:
    """Split `127.0.0.1:8080` or `[::1]:8080` into host and port. Raises ValueError."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
        raise SettingFault(
            "must be host:port, such as 127.0.0.1:8080", "必须是 主机:端口，例如 127.0.0.1:8080"
        )
    return host, int(port)


def as_list(value: object) -> object:
    """Accept a single value in place of a list."""
    return [value] if isinstance(value, str | int) and not isinstance(value, bool) else value
