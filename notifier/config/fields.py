"""Types of settings that several sections share."""

import re
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr


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
        raise ValueError(f"{value!r} is not an IANA time zone. Example: Asia/Shanghai") from error


Zone = Annotated[ZoneInfo, BeforeValidator(_as_zone)]


class LossyInt(int):
    """A number of the file whose text is another one than its digits, such as 0123, 0x12 or 1_000."""

    text: str


_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)(?::?[-?+=][^}]*)?\}|\(([A-Za-z_]\w*)\))", re.ASCII)
_BARE_VARIABLE = re.compile(r"\s*\$([A-Za-z_]\w*)\s*", re.ASCII)


def _as_text(value: object) -> object:
    """YAML reads unquoted digits as numbers; ids are text. Leading zeros and other notations would be lost."""
    if isinstance(value, LossyInt):
        raise ValueError(f"{value.text} would lose its form as a number; put it in quotes")
    if isinstance(value, str) and (fault := text_fault(value)):
        raise ValueError(fault)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


_INVISIBLE = {
    "\n": "a line break",
    "\r": "a carriage return",
    "\t": "a tab",
    " ": "a blank",
    "\u00a0": "a no-break space",
    "\u200b": "a zero-width space",
    "\ufeff": "a byte order mark",
}


def text_fault(text: str, *, has_lines: bool = False) -> str | None:
    """Return what is wrong with any text of a setting: a variable that nothing replaced, or an end that nobody sees.

    has_lines: a text for people, whose white space at the ends does no harm. The value itself is never returned,
    because it may be a secret.
    """
    found = _VARIABLE.search(text) or _BARE_VARIABLE.fullmatch(text)
    if found is not None:
        name = next(filter(None, found.groups()))
        return (
            f"holds ${{{name}}}, the name of a variable and not its value. No variable is replaced here; write the "
            "value, or set the setting in the environment"
        )
    for where, char in (("begins", text[:1]), ("ends", text[-1:])):
        if char in _INVISIBLE and not has_lines:
            return f"{where} with {_INVISIBLE[char]}; remove it"
    return None


def _check_secret(value: object) -> object:
    """A secret is compared byte by byte. Copying often adds a character that nobody sees. No error shows the secret."""
    if isinstance(value, LossyInt):
        raise ValueError("would lose its form as a number; put it in quotes")
    text = _as_text(value)
    if not isinstance(text, str):
        return text
    for where, char in (("begins", text[:1]), ("ends", text[-1:])):
        if char in {'"', "'"}:
            raise ValueError(f"{where} with a quotation mark; remove it")
    inside = next((char for char in text if not char.isprintable()), None)
    if inside is not None:
        raise ValueError(
            f"holds {_INVISIBLE.get(inside, f'the invisible character U+{ord(inside):04X}')}; remove it"
        )
    return text


Text = Annotated[str, BeforeValidator(_as_text)]


def _reject_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


Number = Annotated[float, BeforeValidator(_reject_bool)]


Secret = Annotated[SecretStr, BeforeValidator(_check_secret)]


def listen_address(text: str) -> tuple[str, int]:
    """Split `127.0.0.1:8080` or `[::1]:8080` into host and port. Raises ValueError."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError("must be host:port, such as 127.0.0.1:8080")
    return host, int(port)


def as_list(value: object) -> object:
    """Accept a single value in place of a list."""
    return [value] if isinstance(value, str | int) and not isinstance(value, bool) else value
