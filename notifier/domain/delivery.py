"""Delivery: one card to one recipient, its states and legal moves.

waiting -> ready -> sending -> sent
             ^         |-> ready       (not done: later, same key; or a simpler rung, own key)
             |         |-> uncertain   (may have been seen, and asking again with the key tells nothing more)
          operator     |-> rerouted    (this person cannot be reached: another delivery was born)
             |         '-> dead        (not seen, and repeating cannot help)
             |-- uncertain, dead --> dropped (operator)
             '-> uncertain      (it lay idle until Feishu's memory of its key was over)
"""

from dataclasses import dataclass
from enum import StrEnum

from notifier.clock import Millis
from notifier.errors import (
    AppSuspended,
    CallError,
    CardRefused,
    NotAuthorised,
    OutcomeUnknown,
    PictureRefused,
    RecipientUnreachable,
    TemporaryFailure,
)

HOUR_MS = 3_600_000
UUID_WINDOW_MS = 55 * 60_000
"""Feishu remembers a uuid for one hour (message page, read 2026-05); five minutes are kept as a margin."""

FIRST_PAUSE_MS = 1_000
CREDENTIALS_PAUSE_MS = 30_000
MAX_PAUSE_MS = 10 * 60_000


class DeliveryState(StrEnum):
    WAITING = "waiting"
    READY = "ready"
    SENDING = "sending"
    SENT = "sent"
    UNKNOWN = "unknown"
    REROUTED = "rerouted"
    DEAD = "dead"
    DROPPED = "dropped"


OPEN_STATES = (DeliveryState.WAITING, DeliveryState.READY, DeliveryState.SENDING)
NEEDS_ATTENTION = (DeliveryState.UNKNOWN, DeliveryState.DEAD)


class CardVariant(StrEnum):
    """How much of the card is left: each step down is simpler and safer."""

    FULL = "full"
    NO_MEDIA = "no_media"
    """The full card without its charts and images; only for one whose picture was refused."""
    COMPACT = "compact"
    TEXT = "text"

    def next_lower(self) -> "CardVariant | None":
        return _LOWER_VARIANT[self]

    def after(self, error: CardRefused) -> "CardVariant | None":
        """The next one to try: where a picture is at fault, only the picture goes."""
        if isinstance(error, PictureRefused) and self is CardVariant.FULL:
            return CardVariant.NO_MEDIA
        return self.next_lower()


_LOWER_VARIANT = {
    CardVariant.FULL: CardVariant.COMPACT,
    CardVariant.NO_MEDIA: CardVariant.COMPACT,
    CardVariant.COMPACT: CardVariant.TEXT,
    CardVariant.TEXT: None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What is sent, frozen before the first try so that every try with one key says the same.

    msg_type: interactive or text. body: the JSON that goes into `content`. fault: why this is simpler than what
    was wanted, None if it is not.
    """

    variant: CardVariant
    msg_type: str
    body: str
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """id: ours. key: fixed at birth; the uuid that Feishu sees is key and rung together.

    first_tried_at: when patience began to run out.
    target: referrer or a group's name. receive_id: open_id or chat_id once known. attempts: calls made.
    unknown_since: start of the first call whose outcome we do not know, None if there is none.
    reroute_reason: why this went here instead of to the referrer, None if it did not. order_id: of the withdrawal
    that it tells of, None for a balance change. run_id: of the digest that it tells, None for a notice; file_id: of
    the digest's file, where it is that. account_ref: None where it tells of no single account.
    """

    id: int
    key: str
    account_ref: int | None
    target: str
    receive_id_type: str
    receive_id: str
    state: DeliveryState
    variant: CardVariant
    content: Content | None
    attempts: int
    created_at: Millis
    first_tried_at: Millis | None
    unknown_since: Millis | None
    reroute_reason: str | None
    last_error: str | None = None
    order_id: str | None = None
    run_id: int | None = None
    file_id: int | None = None

    @property
    def uuid(self) -> str:
        """At most 50 characters; changes with the content, as Feishu asks."""
        return f"{self.key}-{self.variant.value[0]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryOutcome:
    """Where a delivery goes after a try. due_at: for READY. rung: the one to use from now on."""

    state: DeliveryState
    reason: str
    due_at: Millis = 0
    variant: CardVariant
    unknown_since: Millis | None = None
    code: int | None = None
    log_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long we try before a person must look."""

    give_up_after_ms: int = 72 * HOUR_MS


def after_failure(
    delivery: Delivery,
    error: CallError,
    *,
    started_at: Millis,
    now: Millis,
    jitter: float,
    retry_policy: RetryPolicy,
    fallback_exists: bool,
) -> DeliveryOutcome:
    """What becomes of a delivery whose call failed.

    started_at: when this call began. jitter: 0..1, drawn by the caller. fallback_exists: there is another
    chat that may hear of it instead.
    """
    unknown_since = delivery.unknown_since
    if isinstance(error, OutcomeUnknown) and unknown_since is None:
        unknown_since = started_at
    given_up = DeliveryState.DEAD if unknown_since is None else DeliveryState.UNKNOWN

    def outcome(
        state: DeliveryState, *, variant: CardVariant = delivery.variant, due_at: Millis = 0
    ) -> DeliveryOutcome:
        return DeliveryOutcome(
            state=state,
            reason=error.reason,
            due_at=due_at,
            variant=variant,
            unknown_since=unknown_since,
            code=error.code,
            log_id=error.log_id,
        )

    match error:
        case CardRefused():
            unknown_since = None
            next_lower = delivery.variant.after(error)
            return (
                outcome(DeliveryState.READY, variant=next_lower, due_at=now)
                if next_lower
                else outcome(DeliveryState.DEAD)
            )
        case RecipientUnreachable():
            reroutable = fallback_exists and delivery.reroute_reason is None and unknown_since is None
            return outcome(DeliveryState.REROUTED if reroutable else given_up)
        case TemporaryFailure() | OutcomeUnknown() | NotAuthorised() | AppSuspended():
            due_at = now + _pause_after(error, attempts=delivery.attempts, jitter=jitter)
            if unknown_since is not None and due_at - unknown_since >= UUID_WINDOW_MS:
                return outcome(DeliveryState.UNKNOWN)
            if due_at - (delivery.first_tried_at or started_at) >= retry_policy.give_up_after_ms:
                return outcome(given_up)
            return outcome(DeliveryState.READY, due_at=due_at)
        case _:
            return outcome(given_up)


def limiter_block_ms(error: CallError) -> int:
    """For how long nobody may call after this failure; 0 if it is this delivery's alone."""
    if isinstance(error, NotAuthorised | AppSuspended):
        return CREDENTIALS_PAUSE_MS
    if isinstance(error, TemporaryFailure) and error.affects_whole_app:
        return round(1000 * (error.retry_after_seconds or 1))
    return 0


def _pause_after(error: CallError, *, attempts: int, jitter: float) -> int:
    """What Feishu asks for is the least. When it names the wait of the whole app, this delivery has no part in it."""
    asked_ms = round(1000 * (error.retry_after_seconds or 0))
    if isinstance(error, TemporaryFailure) and error.affects_whole_app and error.is_exact_wait:
        return asked_ms + round(250 * jitter)
    return max(asked_ms + round(250 * jitter), pause_ms(attempts=attempts, jitter=jitter))


def pause_ms(*, attempts: int, jitter: float) -> int:
    """How long to wait after this many tries: doubling from 1 s to 10 min, the upper half of it by jitter (0..1)."""
    grown: int = min(FIRST_PAUSE_MS * 2 ** min(max(attempts - 1, 0), 20), MAX_PAUSE_MS)
    return round(grown * (0.5 + 0.5 * jitter))


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """message_id, chat_id: needed to change the card later. log_id: for Feishu's support."""

    message_id: str
    chat_id: str
    log_id: str | None
