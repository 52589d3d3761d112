"""Responses to card callbacks, within Feishu's time limit. The long connection and the webhook share this module."""

import asyncio
import functools
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from notifier.domain.event import Event

log = logging.getLogger(__name__)

ANSWER_TIMEOUT_SECONDS = 2.5
"""Maximum wait for the response document. Feishu allows 3 s, network time included."""

CallbackDocument = Mapping[str, Any]
"""The response to a card callback: {"toast": {...}, "card": {...}}, both optional, as plain dicts."""

StoreEvent = Callable[[Event], Awaitable[CallbackDocument | None]]
"""Stores an event. Returns once it is committed; raises if it cannot be stored.

The result is the response to a card callback; None for an empty response, and for all other events.
"""


def _toast(kind: str, *, zh: str, en: str) -> CallbackDocument:
    return {"toast": {"type": kind, "content": zh, "i18n": {"zh_cn": zh, "en_us": en}}}


RECEIVED_TOAST: Final = _toast(
    "warning", zh="收到，请稍候查看卡片。", en="Received. The result will show on the card."
)
"""Makes no promise, as it is not yet known whether the event is stored and what it results in."""

TRY_LATER_TOAST: Final = _toast(
    "error",
    zh="暂时无法处理，请稍后再点一次。",
    en="This is not possible right now. Press again later.",
)


class CallbackAnswers:
    """Stores events and returns their responses. Storing is never cancelled, as Feishu sends a callback only once."""

    def __init__(self, store: StoreEvent) -> None:
        self._store = store
        self._pending: set[asyncio.Future[CallbackDocument | None]] = set()

    async def answer_click(self, event: Event) -> str:
        """Store a card callback and return its response as JSON, after at most ANSWER_TIMEOUT_SECONDS.

        Storing continues after that. Always returns a response: Feishu does not send a callback again, and would
        show an error number to the person.
        """
        return _encode_answer(event, await self._make_document(event))

    async def store_within(self, event: Event, seconds: float) -> bool:
        """Store an event; return whether it is committed within so many seconds. If not, Feishu must send it again."""
        storing = await self._start_storing(event, seconds)
        if not storing.done():
            log.warning("event.store_delayed", extra={"event_key": event.key, "seconds": seconds})
            return False
        return _store_error(storing) is None

    async def _make_document(self, event: Event) -> CallbackDocument:
        storing = await self._start_storing(event, ANSWER_TIMEOUT_SECONDS)
        if not storing.done():
            log.warning(
                "callback.answer_delayed", extra={"event_key": event.key, "seconds": ANSWER_TIMEOUT_SECONDS}
            )
            return RECEIVED_TOAST
        if _store_error(storing) is not None:
            return TRY_LATER_TOAST
        document = storing.result()
        return {} if document is None else document

    async def _start_storing(self, event: Event, seconds: float) -> "asyncio.Future[CallbackDocument | None]":
        """Start to store the event and wait up to so many seconds. A later failure is logged."""
        storing = asyncio.ensure_future(self._store(event))
        self._pending.add(storing)
        storing.add_done_callback(functools.partial(self._on_stored, event))
        await asyncio.wait({storing}, timeout=seconds)  # unlike wait_for, it cancels nothing
        return storing

    def _on_stored(self, event: Event, storing: "asyncio.Future[CallbackDocument | None]") -> None:
        self._pending.discard(storing)
        error = _store_error(storing)
        if error is not None:
            log_not_stored(event, error)


def _store_error(storing: "asyncio.Future[CallbackDocument | None]") -> BaseException | None:
    """Return why a finished task did not store the event, or None if it did."""
    return asyncio.CancelledError() if storing.cancelled() else storing.exception()


def log_not_stored(event: Event, error: BaseException) -> None:
    """Log that an event could not be stored."""
    log.error(
        "event.store_failed",
        extra={"event_key": event.key, "reason": f"{type(error).__name__}: {error}"},
    )


def _encode_answer(event: Event, document: CallbackDocument) -> str:
    """Return the document as JSON; RECEIVED_TOAST if it is invalid, as the event is stored in any case."""
    try:
        return _encode_document(document)
    except Exception:
        log.exception("callback.encoding_failed", extra={"event_key": event.key})
        return _encode_document(RECEIVED_TOAST)


def _encode_document(document: CallbackDocument) -> str:
    """Raises TypeError or ValueError if the document has the wrong form or is no valid JSON."""
    for name, part in document.items():
        if part is not None and not isinstance(part, Mapping):
            raise TypeError(f"{name} is {type(part).__name__}, not an object")
    text = json.dumps(_without_nulls(document), ensure_ascii=False, allow_nan=False)
    text.encode()  # lone surrogates
    return text


def _without_nulls(node: object) -> object:
    """Feishu treats a key with null differently from a missing key."""
    match node:
        case Mapping():
            return {key: _without_nulls(value) for key, value in node.items() if value is not None}
        case list() | tuple():
            return [_without_nulls(value) for value in node]
        case _:
            return node
