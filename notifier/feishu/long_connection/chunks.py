"""Chunks: reassembles a payload that Feishu splits over several frames, within memory limits."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_PARTS = 1_000
MAX_TOTAL_BYTES = 16 * 1024 * 1024
"""Total size of all unfinished payloads; an event has tens of KB."""

MAX_PARTIAL_PAYLOADS = 1_000
EXPIRY_SECONDS = 30.0
"""Feishu sends an event again, with another message_id, if no response arrives within 3 s."""


@dataclass(slots=True)
class _PartialPayload:
    total: int
    ends_at: float
    parts: dict[int, bytes] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(map(len, self.parts.values()))


class ChunkAssembler:
    """Collects the parts of payloads by message_id.

    Drops the oldest payloads when they expire or exceed a limit. Feishu sends those again, as they got no response.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._unfinished: dict[str, _PartialPayload] = {}
        self._bytes = 0

    def add(self, message_id: str, *, total: int, number: int, part: bytes) -> bytes | None:
        """Add one part; return the payload once it is complete, otherwise None.

        total: number of parts. number: position of this part, from 0. Raises ValueError if these are invalid or
        contradict earlier parts.
        """
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
        """The dict keeps the order of arrival, so the oldest payload is first."""
        while self._unfinished and next(iter(self._unfinished.values())).ends_at <= now:
            self._discard(next(iter(self._unfinished)))

    def _discard(self, message_id: str) -> None:
        self._bytes -= self._unfinished.pop(message_id).size
