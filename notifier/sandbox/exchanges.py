"""The calls of the app, and what they sent and got."""

from dataclasses import dataclass

from notifier.sandbox.error_codes import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One call of the app."""

    at_ms: int  # milliseconds since 1970 of the sandbox clock, at the end of the call
    method: str  # HTTP method
    path: str  # without query
    status: int  # HTTP status, 0 without an answer
    code: int | None  # of the JSON answer, None without one
    took_ms: int  # real time
    log_id: str  # X-Tt-Logid of the answer

    def to_json(self) -> JsonObject:
        """All fields as JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What one call sent and got, as received. It can hold secrets: control/redaction.py makes it readable."""

    query: str
    """Undecoded query string of the address."""
    request_headers: tuple[tuple[str, str], ...]
    """As received."""
    request_body: bytes
    """At most MAX_KEPT_BYTES; empty for a form with files."""
    request_bytes: int
    """Size of the whole body."""
    answer_headers: tuple[tuple[str, str], ...] = ()
    """Empty without an answer."""
    answer_body: bytes = b""
    """At most MAX_KEPT_BYTES; empty for an answer that is not one piece, such as a stream."""
    answer_bytes: int = 0
    """Size of the whole answer."""


MAX_EXCHANGES, MAX_KEPT_BYTES = 500, 64 * 1024
"""Calls whose bodies are kept, the newest ones, and the size of what is kept of each body."""
