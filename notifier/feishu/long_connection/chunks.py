"""Chunks: a payload too large for one frame comes in several; here they are put together, within bounds."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_PARTS = 1_000
MAX_TOTAL_BYTES = 16 * 1024 * 1024
"""Of all unfinished payloads together; far above what events are (tens of KB)."""

MAX_PARTIAL_PAYLOADS = 1_000
EXPIRY_SECONDS = 30.0
"""Feishu sends again what was not answered within 3 s, under another message_id."""


@dataclass(slots=True)
class _PartialPayload:
    total: int
    ends_at: float
    parts: dict[int, bytes] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(map(len, self.parts.values()))


class ChunkAssembler:
    """Parts of payloads by message_id. What is too old or too much is forgotten, oldest first: it is unanswered, so
    Feishu sends it again.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._unfinished: dict[str, _PartialPayload] = {}
        self._bytes = 0

    def add(self, message_id: str, *, total: int, number: int, part: bytes) -> bytes | None:
        """The whole payload once all parts are there, else None. Raises ValueError for what is no part of anything."""
        if not 0 <= number < total <= MAX_PARTS:
            raise ValueError(f"part {number} of {total}")
        now = self._monotonic()
        self._discard_expired(now)
        payload = self._unfinished.get(message_id)
        if payload is None:
            payload = self._unfinished[message_id] = _PartialPayload(total, now + EXPIRY_SECONDS)
        elif payload.total != total:
            raise ValueError(f"part {number} of {total}, where there were {payload.total} before")
        self._bytes += len(part) - len(payload.parts.get(number, b""))
        payload.parts[number] = part
        if len(payload.parts) == total:
            self._discard(message_id)
            return b"".join(payload.parts[each] for each in range(total))
        while self._bytes > MAX_TOTAL_BYTES or len(self._unfinished) > MAX_PARTIAL_PAYLOADS:
            self._discard(next(iter(self._unfinished)))
        return None

    def _discard_expired(self, now: float) -> None:
        """The oldest stand first."""
        while self._unfinished and next(iter(self._unfinished.values())).ends_at <= now:
            self._discard(next(iter(self._unfinished)))

    def _discard(self, message_id: str) -> None:
        self._bytes -= self._unfinished.pop(message_id).size
