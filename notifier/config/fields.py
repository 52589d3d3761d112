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


_VARIABLE = re.compile(r"\$\{?[A-Za-z_][A-Za-z0-9_]*\}?")


def _as_text(value: object) -> object:
    """YAML reads unquoted digits as numbers; ids are text. Leading zeros and other notations would be lost."""
    if isinstance(value, LossyInt):
        raise ValueError(f"{value.text} would lose its form as a number; put it in quotes")
    if isinstance(value, str) and _VARIABLE.fullmatch(value.strip()):
        raise ValueError(
            f"holds {value.strip()}, the name of a variable and not its value. The file replaces no variables; set "
            "the setting in the environment"
        )
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


_INVISIBLE = {
    "\n": "a line break",
    "\r": "a carriage return",
    "\t": "a tab",
    " ": "a blank",
    "\u00a0": "a no-break space",
    "\u200b": "a zero-width space",
    "\ufeff": "a byte order mark",
    '"': "a quotation mark",
    "'": "a quotation mark",
}


def _check_secret(value: object) -> object:
    """A secret is compared byte by byte. Copying often adds a character that nobody sees."""
    text = _as_text(value)
    if not isinstance(text, str):
        return text
    for where, char in (("begins", text[:1]), ("ends", text[-1:])):
        if char in _INVISIBLE:
            raise ValueError(f"{where} with {_INVISIBLE[char]}; remove it")
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
