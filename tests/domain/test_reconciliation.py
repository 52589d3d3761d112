"""Healing: since when we should have heard of every change, when connections come and go."""

import pytest

from notifier.domain.reconciliation import RECONNECT_WITHIN_MS, ReceivingPeriod

FIRST, PROVED, ANEW, LATER = 1_000, 50_000, 52_000, 500_000


def deaf() -> ReceivingPeriod:
    hearing = ReceivingPeriod()
    hearing.mark_not_receiving(FIRST, now=PROVED)
    return hearing


@pytest.mark.parametrize("since", [None, 7])
def test_a_connection_that_hears_counts_from_its_own_start(since: int | None) -> None:
    assert since == ReceivingPeriod().since(since, now=LATER)


def test_a_deaf_connection_counts_while_it_stands_is_made_anew_and_stands_again() -> None:
    hearing = deaf()
    moments = ((FIRST, PROVED + 10), (None, PROVED + 20), (ANEW, ANEW + 1), (ANEW, LATER))

    assert [FIRST] * 4 == [hearing.since(since, now=now) for since, now in moments]


@pytest.mark.parametrize("since", [None, LATER + 5])
def test_it_counts_no_more_once_its_successor_breaks(since: int | None) -> None:
    hearing = deaf()
    hearing.since(ANEW, now=ANEW)

    assert since == hearing.since(since, now=LATER + 10)
    assert ANEW == hearing.since(ANEW, now=LATER + 20)


@pytest.mark.parametrize("since", [None, PROVED + RECONNECT_WITHIN_MS + 1])
def test_a_connection_that_is_away_for_long_was_not_only_made_anew(since: int | None) -> None:
    assert since == deaf().since(since, now=PROVED + RECONNECT_WITHIN_MS + 2)


def test_what_was_just_proved_is_no_news_and_later_is() -> None:
    hearing = deaf()

    assert hearing.is_known_not_receiving(FIRST, now=PROVED + 1)
    assert not hearing.is_known_not_receiving(ANEW, now=PROVED + 1)
    assert not hearing.is_known_not_receiving(FIRST, now=PROVED + RECONNECT_WITHIN_MS + 1)
    assert not ReceivingPeriod().is_known_not_receiving(None, now=0)
