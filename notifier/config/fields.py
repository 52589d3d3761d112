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


def _as_text(value: object) -> object:
    """YAML reads unquoted digits as numbers; ids are text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Text = Annotated[str, BeforeValidator(_as_text)]


def _reject_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


Number = Annotated[float, BeforeValidator(_reject_bool)]


Secret = Annotated[SecretStr, BeforeValidator(_as_text)]


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
