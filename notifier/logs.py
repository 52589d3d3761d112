"""Logging: each event is one line with a fixed name and fields. Secrets are removed from every line."""

import json
import logging
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {
    "message",
    "asctime",
    "taskName",
}

_SECRET = re.compile(
    r"""(?ix)
    (?P<name>access_key|ticket|app_?secret|tenant_access_token|verification_token|encrypt_key|authorization|bearer)
    (?P<gap>["'\\\s]*[:=]["'\\\s:=]*(?:bearer\s+)?|(?<=bearer)\s+)
    (?P<value>[^\s"'\\&,;}]+)
    | \b[tu]-[A-Za-z0-9._-]{16,}
    """
)
HIDDEN = "[hidden]"
"""Replaces a secret in the log."""


class Redaction:
    """Replaces secrets in a text with `HIDDEN`.

    It replaces the given secrets, and values in the usual forms of tokens and keys. Given secrets with fewer than 4
    characters are ignored.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if len(secret) >= 4 for form in _escaped_forms(secret)}
        self._secrets = sorted(forms, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text with every secret hidden."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return _SECRET.sub(_hide, text)


def _escaped_forms(secret: str) -> Iterator[str]:
    """Yields the forms of a secret in plain text, in JSON, and in Python's repr: quotes and backslashes differ."""
    for form in (secret, repr(secret)[1:-1]):
        yield form
        yield json.dumps(form, ensure_ascii=False)[1:-1]


def _hide(match: re.Match[str]) -> str:
    return f"{match['name']}{match['gap']}{HIDDEN}" if match["name"] else HIDDEN


class _TextFormatter(logging.Formatter):
    def __init__(self, redact: Redaction) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(self._line(record, _fields(record)))

    def _line(self, record: logging.LogRecord, fields: dict[str, object]) -> str:
        pairs = "".join(f" {name}={_format_value(value)}" for name, value in fields.items())
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"{_time(record)} {record.levelname.lower():7} {record.getMessage()}{pairs}{trace}"


class _JsonFormatter(_TextFormatter):
    def _line(self, record: logging.LogRecord, fields: dict[str, object]) -> str:
        line: dict[str, object] = {
            "at": _time(record),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **fields,
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {
        name: value for name, value in vars(record).items() if name not in _STANDARD and value is not None
    }


def _format_value(value: object) -> str:
    text = str(value)
    return text if text and not re.search(r"[\s\"=]", text) else json.dumps(text, ensure_ascii=False)


def set_up_logging(*, level: str, log_format: str, secrets: Iterable[str]) -> None:
    """Sets up logging to stderr; stdout is for the output of a command.

    level: the minimum level of this program's events; other libraries log warnings and errors only.
    log_format: "json", or "text" for any other value. secrets: values that never appear in the log.
    """
    redact = Redaction(secrets)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter(redact) if log_format == "json" else _TextFormatter(redact))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("notifier").setLevel(level.upper())
