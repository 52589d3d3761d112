"""Deliveries: what becomes of one whose call failed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.delivery import (
    HOUR_MS,
    LONGEST_PAUSE_MS,
    UUID_WINDOW_MS,
    Delivery,
    DeliveryState,
    Move,
    Patience,
    Rung,
    after_failure,
    closes_gate_for_ms,
    pause_ms,
)
from notifier.errors import (
    AccountUnknown,
    AppStopped,
    CallError,
    CardRefused,
    NotAuthorised,
    NotDone,
    OutcomeUnknown,
    PictureRefused,
    RecipientUnreachable,
    Refused,
)

BORN = 1_700_000_000_000
KEY = "0123456789abcdef0123456789abcdef"
READY, DEAD, UNCERTAIN = DeliveryState.READY, DeliveryState.DEAD, DeliveryState.UNCERTAIN
REROUTED = DeliveryState.REROUTED


def delivery(
    *,
    rung: Rung = Rung.FULL,
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
        rung=rung,
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
) -> Move:
    return after_failure(
        tried or delivery(),
        error,
        started_at=started_at,
        now=now,
        jitter=jitter,
        patience=Patience(give_up_after_ms=give_up_after_ms),
        fallback_exists=fallback_exists,
    )


@pytest.mark.parametrize(
    "state, error",
    [
        (READY, NotDone("busy")),
        (READY, NotDone("busy", retry_after_seconds=3, whole_app=True)),
        (READY, OutcomeUnknown("no answer")),
        (READY, NotAuthorised("wrong secret")),
        (READY, AppStopped("no quota left")),
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
    move = after(Refused("bad parameter", code=230001, log_id="log-1"))

    assert ("bad parameter", 230001, "log-1") == (move.reason, move.code, move.log_id)


@pytest.mark.parametrize("rung", list(Rung))
@pytest.mark.parametrize("error", [NotDone("busy"), OutcomeUnknown("no answer"), NotAuthorised("no token")])
def test_a_repeat_says_the_same_as_before(rung: Rung, error: CallError) -> None:
    assert rung is after(error, delivery(rung=rung)).rung


@pytest.mark.parametrize(
    "below, rung", [(Rung.COMPACT, Rung.FULL), (Rung.COMPACT, Rung.BARE), (Rung.TEXT, Rung.COMPACT)]
)
def test_a_refused_card_is_followed_at_once_by_a_simpler_one(below: Rung, rung: Rung) -> None:
    move = after(CardRefused("too long"), delivery(rung=rung), now=BORN + 1000)

    assert (READY, below, BORN + 1000) == (move.state, move.rung, move.due_at)


@pytest.mark.parametrize(
    "below, rung", [(Rung.BARE, Rung.FULL), (Rung.COMPACT, Rung.BARE), (Rung.TEXT, Rung.COMPACT)]
)
def test_where_a_picture_was_refused_only_the_picture_goes(below: Rung, rung: Rung) -> None:
    assert below is after(PictureRefused("chart"), delivery(rung=rung)).rung


def test_below_a_refused_text_there_is_nothing() -> None:
    assert DEAD is after(CardRefused("sensitive"), delivery(rung=Rung.TEXT)).state


def test_a_refused_card_was_not_seen_so_nothing_is_unknown_any_more() -> None:
    move = after(CardRefused("too long"), delivery(unknown_since=BORN + 100))

    assert move.unknown_since is None


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


@pytest.mark.parametrize("error", [OutcomeUnknown("no answer"), NotDone("busy"), NotAuthorised("no token")])
def test_later_failures_do_not_move_the_window(error: CallError) -> None:
    move = after(error, delivery(unknown_since=BORN + 100), started_at=BORN + 5000, now=BORN + 6000)

    assert (READY, BORN + 100) == (move.state, move.unknown_since)


@pytest.mark.parametrize("error", [OutcomeUnknown("no answer"), NotDone("busy"), NotAuthorised("no token")])
@pytest.mark.parametrize("state, spare_ms", [(READY, 1), (UNCERTAIN, 0), (UNCERTAIN, -1)])
def test_no_repeat_falls_outside_the_time_in_which_feishu_remembers_the_uuid(
    error: CallError, state: DeliveryState, spare_ms: int
) -> None:
    unknown_since = BORN + 100
    now = unknown_since + UUID_WINDOW_MS - pause_ms(attempts=1, jitter=0) - spare_ms

    assert state is after(error, delivery(unknown_since=unknown_since), now=now, jitter=0).state


def test_the_window_is_shorter_than_the_hour_feishu_promises() -> None:
    assert HOUR_MS > UUID_WINDOW_MS


def test_a_wait_longer_than_the_window_is_not_begun() -> None:
    asked_for_an_hour = NotDone("busy", retry_after_seconds=3600, whole_app=True)

    assert UNCERTAIN is after(asked_for_an_hour, delivery(unknown_since=BORN)).state
    assert READY is after(asked_for_an_hour).state


@pytest.mark.parametrize("error", [NotDone("busy"), NotAuthorised("no token")])
@pytest.mark.parametrize("state, spare_ms", [(READY, 1), (DEAD, 0), (DEAD, -1)])
def test_patience_has_an_end(error: CallError, state: DeliveryState, spare_ms: int) -> None:
    now = BORN + 72 * HOUR_MS - pause_ms(attempts=1, jitter=0) - spare_ms

    assert state is after(error, now=now, jitter=0).state


def test_what_may_have_been_seen_is_not_told_to_somebody_else() -> None:
    """The first call may have reached the person: the fallback group would hear that it could not."""
    move = after(RecipientUnreachable("stopped the bot"), delivery(unknown_since=BORN), fallback_exists=True)

    assert UNCERTAIN is move.state


@pytest.mark.parametrize(
    "error", [OutcomeUnknown("no answer"), NotDone("busy"), Refused("scope"), RecipientUnreachable("muted")]
)
def test_what_may_have_been_seen_never_ends_as_dead(error: CallError) -> None:
    """Dead ones are sent again under a new key, all at one command: nobody may get a second message by it."""
    move = after(
        error,
        delivery(unknown_since=BORN + 71 * HOUR_MS),
        now=BORN + 71 * HOUR_MS + 60_000,
        fallback_exists=False,
        give_up_after_ms=71 * HOUR_MS,
    )

    assert (UNCERTAIN, BORN + 71 * HOUR_MS) == (move.state, move.unknown_since)


@pytest.mark.parametrize(
    "seconds, attempts", [(1, 1), (2, 2), (4, 3), (8, 4), (512, 10), (600, 11), (600, 1000), (1, 0)]
)
def test_pauses_double_up_to_ten_minutes(seconds: int, attempts: int) -> None:
    assert 1000 * seconds == pause_ms(attempts=attempts, jitter=1)


@given(st.integers(0, 10**6), st.floats(0, 1))
def test_a_pause_is_bounded_and_at_most_half_of_it_is_chance(attempts: int, jitter: float) -> None:
    longest = pause_ms(attempts=attempts, jitter=1)

    assert 500 <= longest / 2 <= pause_ms(attempts=attempts, jitter=jitter) <= longest <= LONGEST_PAUSE_MS


def test_two_deliveries_that_fail_together_do_not_come_back_together() -> None:
    assert after(NotDone("busy"), jitter=0.1).due_at != after(NotDone("busy"), jitter=0.9).due_at


@given(
    st.floats(0, 3600),
    st.booleans(),
    st.integers(1, 100),
    st.floats(0, 1),
)
def test_nobody_comes_back_before_the_platform_said(
    seconds: float,
    whole_app: bool,  # noqa: FBT001 - drawn
    attempts: int,
    jitter: float,
) -> None:
    error = NotDone("busy", retry_after_seconds=seconds, whole_app=whole_app)
    pause = after(error, delivery(attempts=attempts), now=BORN, jitter=jitter).due_at - BORN

    assert round(1000 * seconds) <= pause <= max(round(1000 * seconds) + 250, LONGEST_PAUSE_MS)


def test_a_wait_of_the_whole_app_does_not_grow_with_this_deliverys_tries() -> None:
    error = NotDone("busy", retry_after_seconds=3, whole_app=True, exact=True)

    assert BORN + 3000 == after(error, delivery(attempts=9), now=BORN, jitter=0).due_at


def test_where_feishu_named_no_wait_the_pause_grows_from_try_to_try() -> None:
    error = NotDone("busy", retry_after_seconds=1, whole_app=True)

    assert (
        BORN + pause_ms(attempts=9, jitter=0) == after(error, delivery(attempts=9), now=BORN, jitter=0).due_at
    )


@pytest.mark.parametrize("error", [AppStopped("disabled"), NotAuthorised("wrong secret")])
def test_what_stops_the_whole_app_closes_the_gate_for_everybody(error: CallError) -> None:
    assert closes_gate_for_ms(error) > 0


def test_the_uuid_is_short_enough_and_changes_with_what_is_said() -> None:
    uuids = {delivery(rung=rung, key=f"{KEY}.9999").uuid for rung in Rung}

    assert len(Rung) == len(uuids)
    assert 50 >= max(map(len, uuids))


def test_the_uuid_stays_the_same_from_try_to_try() -> None:
    assert delivery(attempts=1).uuid == delivery(attempts=7, unknown_since=BORN).uuid
