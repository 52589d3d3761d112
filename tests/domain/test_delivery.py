"""Deliveries: what becomes of one whose call failed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.clock import HOUR_MS
from notifier.domain.delivery import (
    MAX_PAUSE_MS,
    UUID_WINDOW_MS,
    CardVariant,
    Delivery,
    DeliveryOutcome,
    DeliveryState,
    RetryPolicy,
    after_failure,
    limiter_block_ms,
    pause_ms,
)
from notifier.errors import (
    AccountUnknown,
    AppSuspended,
    CallError,
    CardRefused,
    NotAuthorised,
    OutcomeUnknown,
    PictureRefused,
    RecipientUnreachable,
    Refused,
    TemporaryFailure,
)

BORN = 1_700_000_000_000
KEY = "0123456789abcdef0123456789abcdef"
READY, DEAD, UNKNOWN = DeliveryState.READY, DeliveryState.DEAD, DeliveryState.UNKNOWN
REROUTED = DeliveryState.REROUTED


def delivery(
    *,
    variant: CardVariant = CardVariant.FULL,
    attempts: int = 1,
    unknown_since: int | None = None,
    reroute_reason: str | None = None,
    key: str = KEY,
) -> Delivery:
    return Delivery(
        id=1,
        key=key,
        account_ref=1,
        target="referrer",
        receive_id_type="open_id",
        receive_id="ou_lin",
        state=DeliveryState.SENDING,
        variant=variant,
        content=None,
        attempts=attempts,
        created_at=BORN,
        first_tried_at=BORN,
        unknown_since=unknown_since,
        reroute_reason=reroute_reason,
    )


def after(
    error: CallError,
    tried: Delivery | None = None,
    *,
    now: int = BORN + 1000,
    started_at: int = BORN + 500,
    jitter: float = 0.5,
    fallback_exists: bool = True,
    give_up_after_ms: int = 72 * HOUR_MS,
) -> DeliveryOutcome:
    return after_failure(
        tried or delivery(),
        error,
        started_at=started_at,
        now=now,
        jitter=jitter,
        retry_policy=RetryPolicy(give_up_after_ms=give_up_after_ms),
        fallback_exists=fallback_exists,
    )


@pytest.mark.parametrize(
    "state, error",
    [
        (READY, TemporaryFailure("busy")),
        (READY, TemporaryFailure("busy", retry_after_seconds=3, affects_whole_app=True)),
        (READY, OutcomeUnknown("no answer")),
        (READY, NotAuthorised("wrong secret")),
        (READY, AppSuspended("no quota left")),
        (READY, CardRefused("too long")),
        (REROUTED, RecipientUnreachable("resigned")),
        (DEAD, Refused("bad parameter")),
        (DEAD, AccountUnknown("no such account")),
        (DEAD, CallError("of no kind we know")),
    ],
)
def test_each_kind_of_failure_has_its_next_state(state: DeliveryState, error: CallError) -> None:
    assert state is after(error).state


def test_the_move_keeps_what_the_platform_said() -> None:
    outcome = after(Refused("bad parameter", code=230001, log_id="log-1"))

    assert ("bad parameter", 230001, "log-1") == (outcome.reason, outcome.code, outcome.log_id)


@pytest.mark.parametrize("variant", list(CardVariant))
@pytest.mark.parametrize(
    "error", [TemporaryFailure("busy"), OutcomeUnknown("no answer"), NotAuthorised("no token")]
)
def test_a_repeat_says_the_same_as_before(variant: CardVariant, error: CallError) -> None:
    assert variant is after(error, delivery(variant=variant)).variant


@pytest.mark.parametrize(
    "next_lower, variant",
    [
        (CardVariant.COMPACT, CardVariant.FULL),
        (CardVariant.COMPACT, CardVariant.NO_MEDIA),
        (CardVariant.TEXT, CardVariant.COMPACT),
    ],
)
def test_a_refused_card_is_followed_at_once_by_a_simpler_one(
    next_lower: CardVariant, variant: CardVariant
) -> None:
    outcome = after(CardRefused("too long"), delivery(variant=variant), now=BORN + 1000)

    assert (READY, next_lower, BORN + 1000) == (outcome.state, outcome.variant, outcome.due_at)


@pytest.mark.parametrize(
    "next_lower, variant",
    [
        (CardVariant.NO_MEDIA, CardVariant.FULL),
        (CardVariant.COMPACT, CardVariant.NO_MEDIA),
        (CardVariant.TEXT, CardVariant.COMPACT),
    ],
)
def test_where_a_picture_was_refused_only_the_picture_goes(
    next_lower: CardVariant, variant: CardVariant
) -> None:
    assert next_lower is after(PictureRefused("chart"), delivery(variant=variant)).variant


def test_below_a_refused_text_there_is_nothing() -> None:
    assert DEAD is after(CardRefused("sensitive"), delivery(variant=CardVariant.TEXT)).state


def test_a_refused_card_was_not_seen_so_nothing_is_unknown_any_more() -> None:
    outcome = after(CardRefused("too long"), delivery(unknown_since=BORN + 100))

    assert outcome.unknown_since is None


@pytest.mark.parametrize(
    "state, fallback_exists, reroute_reason",
    [
        (REROUTED, True, None),
        (DEAD, False, None),
        (DEAD, True, "account_unknown"),
        (DEAD, False, "account_unknown"),
    ],
)
def test_only_a_first_recipient_is_replaced_and_only_by_an_existing_fallback(
    state: DeliveryState,
    fallback_exists: bool,  # noqa: FBT001 - a column of the table
    reroute_reason: str | None,
) -> None:
    tried = delivery(reroute_reason=reroute_reason)

    assert state is after(RecipientUnreachable("resigned"), tried, fallback_exists=fallback_exists).state


def test_the_first_call_of_unknown_outcome_starts_the_window() -> None:
    assert BORN + 500 == after(OutcomeUnknown("no answer"), started_at=BORN + 500).unknown_since


@pytest.mark.parametrize(
    "error", [OutcomeUnknown("no answer"), TemporaryFailure("busy"), NotAuthorised("no token")]
)
def test_later_failures_do_not_move_the_window(error: CallError) -> None:
    outcome = after(error, delivery(unknown_since=BORN + 100), started_at=BORN + 5000, now=BORN + 6000)

    assert (READY, BORN + 100) == (outcome.state, outcome.unknown_since)


@pytest.mark.parametrize(
    "error", [OutcomeUnknown("no answer"), TemporaryFailure("busy"), NotAuthorised("no token")]
)
@pytest.mark.parametrize("state, spare_ms", [(READY, 1), (UNKNOWN, 0), (UNKNOWN, -1)])
def test_no_repeat_falls_outside_the_time_in_which_feishu_remembers_the_uuid(
    error: CallError, state: DeliveryState, spare_ms: int
) -> None:
    unknown_since = BORN + 100
    now = unknown_since + UUID_WINDOW_MS - pause_ms(attempts=1, jitter=0) - spare_ms

    assert state is after(error, delivery(unknown_since=unknown_since), now=now, jitter=0).state


def test_the_window_is_shorter_than_the_hour_feishu_promises() -> None:
    assert HOUR_MS > UUID_WINDOW_MS


def test_a_wait_longer_than_the_window_is_not_begun() -> None:
    asked_for_an_hour = TemporaryFailure("busy", retry_after_seconds=3600, affects_whole_app=True)

    assert UNKNOWN is after(asked_for_an_hour, delivery(unknown_since=BORN)).state
    assert READY is after(asked_for_an_hour).state


@pytest.mark.parametrize("error", [TemporaryFailure("busy"), NotAuthorised("no token")])
@pytest.mark.parametrize("state, spare_ms", [(READY, 1), (DEAD, 0), (DEAD, -1)])
def test_patience_has_an_end(error: CallError, state: DeliveryState, spare_ms: int) -> None:
    now = BORN + 72 * HOUR_MS - pause_ms(attempts=1, jitter=0) - spare_ms

    assert state is after(error, now=now, jitter=0).state


def test_what_may_have_been_seen_is_not_told_to_somebody_else() -> None:
    """The first call may have reached the person: the fallback group would hear that it could not."""
    outcome = after(
        RecipientUnreachable("stopped the bot"), delivery(unknown_since=BORN), fallback_exists=True
    )

    assert UNKNOWN is outcome.state


@pytest.mark.parametrize(
    "error",
    [OutcomeUnknown("no answer"), TemporaryFailure("busy"), Refused("scope"), RecipientUnreachable("muted")],
)
def test_what_may_have_been_seen_never_ends_as_dead(error: CallError) -> None:
    """Dead ones are sent again under a new key, all at one command: nobody may get a second message by it."""
    outcome = after(
        error,
        delivery(unknown_since=BORN + 71 * HOUR_MS),
        now=BORN + 71 * HOUR_MS + 60_000,
        fallback_exists=False,
        give_up_after_ms=71 * HOUR_MS,
    )

    assert (UNKNOWN, BORN + 71 * HOUR_MS) == (outcome.state, outcome.unknown_since)


@pytest.mark.parametrize(
    "seconds, attempts", [(1, 1), (2, 2), (4, 3), (8, 4), (512, 10), (600, 11), (600, 1000), (1, 0)]
)
def test_pauses_double_up_to_ten_minutes(seconds: int, attempts: int) -> None:
    assert 1000 * seconds == pause_ms(attempts=attempts, jitter=1)


@given(st.integers(0, 10**6), st.floats(0, 1))
def test_a_pause_is_bounded_and_at_most_half_of_it_is_chance(attempts: int, jitter: float) -> None:
    longest = pause_ms(attempts=attempts, jitter=1)

    assert 500 <= longest / 2 <= pause_ms(attempts=attempts, jitter=jitter) <= longest <= MAX_PAUSE_MS


def test_two_deliveries_that_fail_together_do_not_come_back_together() -> None:
    assert (
        after(TemporaryFailure("busy"), jitter=0.1).due_at
        != after(TemporaryFailure("busy"), jitter=0.9).due_at
    )


@given(
    st.floats(0, 3600),
    st.booleans(),
    st.integers(1, 100),
    st.floats(0, 1),
)
def test_nobody_comes_back_before_the_platform_said(
    seconds: float,
    affects_whole_app: bool,  # noqa: FBT001 - drawn
    attempts: int,
    jitter: float,
) -> None:
    error = TemporaryFailure("busy", retry_after_seconds=seconds, affects_whole_app=affects_whole_app)
    pause = after(error, delivery(attempts=attempts), now=BORN, jitter=jitter).due_at - BORN

    assert round(1000 * seconds) <= pause <= max(round(1000 * seconds) + 250, MAX_PAUSE_MS)


def test_a_wait_of_the_whole_app_does_not_grow_with_this_deliverys_tries() -> None:
    error = TemporaryFailure("busy", retry_after_seconds=3, affects_whole_app=True, is_exact_wait=True)

    assert BORN + 3000 == after(error, delivery(attempts=9), now=BORN, jitter=0).due_at


def test_where_feishu_named_no_wait_the_pause_grows_from_try_to_try() -> None:
    error = TemporaryFailure("busy", retry_after_seconds=1, affects_whole_app=True)

    assert (
        BORN + pause_ms(attempts=9, jitter=0) == after(error, delivery(attempts=9), now=BORN, jitter=0).due_at
    )


@pytest.mark.parametrize("error", [AppSuspended("disabled"), NotAuthorised("wrong secret")])
def test_what_stops_the_whole_app_closes_the_gate_for_everybody(error: CallError) -> None:
    assert limiter_block_ms(error) > 0


def test_the_uuid_is_short_enough_and_changes_with_what_is_said() -> None:
    uuids = {delivery(variant=variant, key=f"{KEY}.9999").uuid for variant in CardVariant}

    assert len(CardVariant) == len(uuids)
    assert 50 >= max(map(len, uuids))


def test_the_uuid_stays_the_same_from_try_to_try() -> None:
    assert delivery(attempts=1).uuid == delivery(attempts=7, unknown_since=BORN).uuid
