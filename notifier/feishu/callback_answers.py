"""Answers: what a card callback is answered with, in Feishu's time, whichever way it came. Knows nothing of the SDK."""

import asyncio
import functools
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from notifier.domain.event import Event

log = logging.getLogger(__name__)

ANSWER_TIMEOUT_SECONDS = 2.5
"""How long a card callback may wait for its document: Feishu allows 3 s, the way there and back included."""

CallbackDocument = Mapping[str, Any]
"""What a card callback is answered with: {"toast": {...}, "card": {...}}, both optional; plain dicts inside."""

StoreEvent = Callable[[Event], Awaitable[CallbackDocument | None]]
"""Returns once the event is safe on disk; raises when it is not.

The result is the document to answer a card callback with; None: nothing to say, and for all other events.
"""


def _toast(kind: str, *, zh: str, en: str) -> CallbackDocument:
    return {"toast": {"type": kind, "content": zh, "i18n": {"zh_cn": zh, "en_us": en}}}


RECEIVED_TOAST: Final = _toast("warning", zh="收到，请稍候查看卡片。", en="Received; please watch the card.")
"""Promises nothing: whether it is stored, and what comes of it, is not known yet."""

TRY_LATER_TOAST: Final = _toast(
    "error",
    zh="暂时无法处理，请稍后再点一次。",
    en="This cannot be done right now; please press again later.",
)


class CallbackAnswers:
    """The end of whoever waits for an answer does not take back what is being stored: a click comes once."""

    def __init__(self, store: StoreEvent) -> None:
        self._store = store
        self._pending: set[asyncio.Future[CallbackDocument | None]] = set()

    async def answer_click(self, event: Event) -> str:
        """What the person who clicked is shown, as Feishu reads it; after ANSWER_SECONDS at most, and storing goes
        on after that.

        Callbacks are never sent again, so a refusal would only show an error number.
        """
        return _encode_answer(event, await self._make_document(event))

    async def store_within(self, event: Event, seconds: float) -> bool:
        """Whether the event is on disk after so long at most. If not, Feishu must send it again."""
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
        """Waits for it, at most so long; it goes on after that. That it failed is told, also when nobody waits."""
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
    """Why a finished storing did not succeed; None when it did."""
    return asyncio.CancelledError() if storing.cancelled() else storing.exception()


def log_not_stored(event: Event, error: BaseException) -> None:
    log.error(
        "event.store_failed",
        extra={"event_key": event.key, "reason": f"{type(error).__name__}: {error}"},
    )


def _encode_answer(event: Event, document: CallbackDocument) -> str:
    """The document as Feishu reads it. One that cannot be written is our mistake; the click is stored all the same."""
    try:
        return _encode_document(document)
    except Exception:
        log.exception("callback.encoding_failed", extra={"event_key": event.key})
        return _encode_document(RECEIVED_TOAST)


def _encode_document(document: CallbackDocument) -> str:
    """Raises for anything that is not the form of a document, or no JSON."""
    for name, part in document.items():
        if part is not None and not isinstance(part, Mapping):
            raise TypeError(f"{name} is {type(part).__name__}, not an object")
    text = json.dumps(_without_nulls(document), ensure_ascii=False, allow_nan=False)
    text.encode()  # lone surrogates
    return text


def _without_nulls(node: object) -> object:
    """Feishu takes a key with null for another thing than a key that is not there."""
    match node:
        case Mapping():
            return {key: _without_nulls(value) for key, value in node.items() if value is not None}
        case list() | tuple():
            return [_without_nulls(value) for value in node]
        case _:
            return node
