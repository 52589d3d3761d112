"""Delivery: one card to one recipient, its states and the allowed transitions.

waiting -> ready -> sending -> sent
             ^         |-> ready       (not sent: retried later with the same key, or now in a lower variant)
             |         |-> unknown     (may have been sent, and a retry with the key cannot clarify it)
          operator     |-> rerouted    (the recipient cannot be reached: a new delivery replaces this one)
             |         |-> dead        (not sent, and a retry cannot help)
             |         '-> dropped     (the same, or the outcome is unknown, for an answer to a question)
             |-- unknown, dead --> dropped (operator)
             |-> unknown        (it waited until Feishu no longer remembered its key)
             '-> held -> ready  (the recipient wants it later: quiet hours, or a daily or weekly digest)
"""

from dataclasses import dataclass
from enum import StrEnum

from notifier.clock import HOUR_MS, MINUTE_MS, Millis
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

UUID_WINDOW_MS = 55 * MINUTE_MS
"""Feishu remembers a uuid for one hour (message page, read 2026-05); five minutes are kept as a margin."""

FIRST_PAUSE_MS = 1_000
CREDENTIALS_PAUSE_MS = 30_000
MAX_PAUSE_MS = 10 * MINUTE_MS


class DeliveryState(StrEnum):
    """State of a delivery; the module docstring shows the transitions."""

    WAITING = "waiting"
    HELD = "held"
    READY = "ready"
    SENDING = "sending"
    SENT = "sent"
    UNKNOWN = "unknown"
    REROUTED = "rerouted"
    DEAD = "dead"
    DROPPED = "dropped"


OPEN_STATES = (DeliveryState.WAITING, DeliveryState.HELD, DeliveryState.READY, DeliveryState.SENDING)
NEEDS_ATTENTION = (DeliveryState.UNKNOWN, DeliveryState.DEAD)


class CardVariant(StrEnum):
    """How complete a card is. Each lower variant is simpler and has fewer reasons to be refused."""

    FULL = "full"
    NO_MEDIA = "no_media"
    """The full card without its charts and images; used only after Feishu refused a picture."""
    COMPACT = "compact"
    TEXT = "text"

    def next_lower(self) -> "CardVariant | None":
        """Return the next simpler variant, or None if this is the simplest."""
        return _LOWER_VARIANT[self]

    def after(self, error: CardRefused) -> "CardVariant | None":
        """Return the variant to try after Feishu refused this one, or None. If a picture is refused, only media go."""
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
    """What is sent. It is fixed before the first try, so that every try with the same key sends the same content."""

    variant: CardVariant
    """The card variant."""
    msg_type: str
    """`interactive` or `text`."""
    body: str
    """The JSON text for Feishu's `content` parameter."""
    fault: str | None = None
    """Why this variant is lower than the wanted one; None: it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One card, file or text to one recipient."""

    id: int
    """Row id."""
    key: str
    """Idempotency key, set when the delivery is created. The uuid that Feishu receives combines it with the variant.
    """
    account_ref: int | None
    """Row id of the account; None: the delivery is not about a single account."""
    target: str
    """`referrer` or the name of a group."""
    receive_id_type: str
    """`open_id` or `chat_id`."""
    receive_id: str
    """The open_id or chat_id, once known."""
    state: DeliveryState
    """Its current state."""
    variant: CardVariant
    """The variant to send next."""
    content: Content | None
    """What is sent; None: not rendered yet."""
    attempts: int
    """Number of calls."""
    created_at: Millis
    """Unix milliseconds."""
    first_tried_at: Millis | None
    """Start of the time that the retry policy counts, Unix milliseconds; None: not tried yet."""
    unknown_since: Millis | None
    """Start of the first call whose outcome is unknown, Unix milliseconds; None: no such call."""
    reroute_reason: str | None
    """Why it does not go to its intended recipient; None: it does."""
    last_error: str | None = None
    """Text of the newest failure; None: no failure."""
    order_id: str | None = None
    """The withdrawal that it is about; None: a balance change or a digest."""
    run_id: int | None = None
    """Row id of the digest that it sends; None: a notice."""
    file_id: int | None = None
    """Row id of the digest's file that it sends; None: not a file."""
    event_key: str | None = None
    """Key of the first event that it reports; None: no event."""
    event_at: Millis | None = None
    """When that event was stored, Unix milliseconds."""
    corrects: int | None = None
    """Row id of the delivery whose card it replaces, which its card says; None: it is no correction."""
    hold_reason: str | None = None
    """HoldReason of its newest hold; None: it was never held."""
    answer_id: int | None = None
    """Row id of the answer to a question that it sends; None: it answers none."""

    @property
    def uuid(self) -> str:
        """The idempotency key for Feishu, at most 50 characters. It differs per variant, as Feishu requires."""
        return self.uuid_of(self.variant)

    def uuid_of(self, variant: CardVariant) -> str:
        """Return the idempotency key of this delivery in another variant."""
        return f"{self.key}-{variant.value[0]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryOutcome:
    """What happens to a delivery after a failed try."""

    state: DeliveryState
    """The next state."""
    reason: str
    """Text of the failure, for operators."""
    due_at: Millis = 0
    """When to try again, Unix milliseconds; only for READY."""
    variant: CardVariant
    """The variant to use from now on."""
    unknown_since: Millis | None = None
    """As on a Delivery."""
    code: int | None = None
    """Feishu's error code; None: none."""
    log_id: str | None = None
    """Feishu's log id, for its support; None: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long a delivery is retried before it needs attention."""

    give_up_after_ms: int = 72 * HOUR_MS
    """Milliseconds from the first try."""


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
    """Return what happens to a delivery whose call failed.

    An answer to a question is for one person only, so it never goes to the fallback group. It is dropped instead: no
    operator has to act, because the person can ask again.

    started_at: start of this call, Unix milliseconds. now: Unix milliseconds. jitter: random number from 0 to 1.
    fallback_exists: whether the notice can go to the fallback group instead.
    """
    unknown_since = delivery.unknown_since
    if isinstance(error, OutcomeUnknown) and unknown_since is None:
        unknown_since = started_at
    lost = DeliveryState.UNKNOWN if delivery.answer_id is None else DeliveryState.DROPPED
    given_up = DeliveryState.DEAD if unknown_since is None and lost is not DeliveryState.DROPPED else lost

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
            is_original = delivery.reroute_reason is None and delivery.answer_id is None
            reroutable = fallback_exists and is_original and unknown_since is None
            return outcome(DeliveryState.REROUTED if reroutable else given_up)
        case TemporaryFailure() | OutcomeUnknown() | NotAuthorised() | AppSuspended():
            due_at = now + _pause_after(error, attempts=delivery.attempts, jitter=jitter)
            if unknown_since is not None and due_at - unknown_since >= UUID_WINDOW_MS:
                return outcome(lost)
            if due_at - (delivery.first_tried_at or started_at) >= retry_policy.give_up_after_ms:
                return outcome(given_up)
            return outcome(DeliveryState.READY, due_at=due_at)
        case _:
            return outcome(given_up)


def limiter_block_ms(error: CallError) -> int:
    """Return for how many milliseconds no delivery may call Feishu; 0: the failure concerns only this one."""
    if isinstance(error, NotAuthorised | AppSuspended):
        return CREDENTIALS_PAUSE_MS
    if isinstance(error, TemporaryFailure) and error.affects_whole_app:
        return round(1000 * (error.retry_after_seconds or 1))
    return 0


def _pause_after(error: CallError, *, attempts: int, jitter: float) -> int:
    """Return the pause in milliseconds, at least the one that Feishu asks for. If Feishu gives an exact wait for the
    whole app, the number of attempts of this delivery does not matter.
    """
    asked_ms = round(1000 * (error.retry_after_seconds or 0))
    if isinstance(error, TemporaryFailure) and error.affects_whole_app and error.is_exact_wait:
        return asked_ms + round(250 * jitter)
    return max(asked_ms + round(250 * jitter), pause_ms(attempts=attempts, jitter=jitter))


def pause_ms(*, attempts: int, jitter: float) -> int:
    """Return the pause in milliseconds after this many tries. It doubles from 1 second up to 10 minutes; jitter (0 to
    1) sets its upper half.
    """
    grown: int = min(FIRST_PAUSE_MS * 2 ** min(max(attempts - 1, 0), 20), MAX_PAUSE_MS)
    return round(grown * (0.5 + 0.5 * jitter))


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """A message that Feishu accepted."""

    message_id: str
    """Needed to update the card later."""
    chat_id: str
    """The chat that holds the message."""
    log_id: str | None
    """For Feishu's support; None: none."""
