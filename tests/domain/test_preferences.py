"""Until when a notice waits: quiet hours and digests in the zone of the person, over changes of the clock too."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from notifier.clock import Millis, from_millis, to_millis
from notifier.domain.preferences.button import (
    HalfQuietHoursError,
    InvalidChoiceError,
    SameTimesError,
    apply_form,
    get_delivery_id,
    make_settings_ref,
)
from notifier.domain.preferences.choices import (
    CardLanguage,
    Frequency,
    Preferences,
    QuietHours,
    read_minute,
    write_minute,
)
from notifier.domain.preferences.holding import HoldReason, HoldRules, find_hold

NEW_YORK = "America/New_York"
RULES = HoldRules(digest_at=9 * 60, zone=ZoneInfo("Asia/Shanghai"))
NIGHT = QuietHours(begin=22 * 60, end=8 * 60)


def at(text: str, zone: str = "UTC") -> Millis:
    return to_millis(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


def prefers(
    frequency: Frequency = Frequency.INSTANT, quiet: QuietHours | None = None, zone: str = ""
) -> Preferences:
    return Preferences(open_id="ou_1", frequency=frequency, quiet_hours=quiet, zone=zone)


def until(preferences: Preferences, now: Millis, *, since: Millis | None = None, joins: bool = True) -> str:
    """The end of the hold in UTC; "" if there is none."""
    hold = find_hold(
        preferences, RULES, since=now if since is None else since, now=now, may_join_digest=joins
    )
    return f"{from_millis(hold.until).astimezone(UTC):%m-%d %H:%M}" if hold else ""


@pytest.mark.parametrize(
    "now, expected",
    [
        ("2026-01-15 21:59", ""),
        ("2026-01-15 22:00", "01-16 08:00"),
        ("2026-01-16 03:00", "01-16 08:00"),
        ("2026-01-16 07:59", "01-16 08:00"),
        ("2026-01-16 08:00", ""),
    ],
)
def test_quiet_hours_span_midnight_in_the_zone_of_the_person(now: str, expected: str) -> None:
    assert expected == until(prefers(quiet=NIGHT, zone="UTC"), at(now))
    shanghai = until(prefers(quiet=NIGHT), at(now, "Asia/Shanghai"))
    assert bool(expected) == bool(shanghai)
    assert shanghai in ("", "01-16 00:00")


@pytest.mark.parametrize(
    "now, expected",
    [
        ("2026-03-07 23:00", "03-08 12:00"),  # the clock goes ahead in this night: 08:00 is an hour earlier
        ("2026-10-31 23:00", "11-01 13:00"),  # and back in this one
    ],
)
def test_the_end_of_the_quiet_hours_follows_the_local_clock(now: str, expected: str) -> None:
    assert expected == until(prefers(quiet=NIGHT, zone=NEW_YORK), at(now, NEW_YORK))


def test_an_end_that_the_clock_skips_comes_as_long_after_the_change() -> None:
    quiet = QuietHours(begin=23 * 60, end=2 * 60 + 30)
    assert "03-08 07:30" == until(prefers(quiet=quiet, zone=NEW_YORK), at("2026-03-08 01:00", NEW_YORK))


def test_an_end_that_comes_twice_ends_the_hold_twice() -> None:
    preferences = prefers(quiet=QuietHours(begin=23 * 60, end=90), zone=NEW_YORK)
    first = at("2026-11-01 05:30")  # 01:30 in summer time
    assert "11-01 05:30" == until(preferences, at("2026-11-01 05:00"))
    assert "" == until(preferences, first)
    assert "11-01 06:30" == until(preferences, at("2026-11-01 06:15")), "01:15 again, in winter time"


@pytest.mark.parametrize(
    "frequency, now, expected",
    [
        (Frequency.DAILY, "2026-01-15 08:59", "01-15 09:00"),
        (Frequency.DAILY, "2026-01-15 09:00", "01-16 09:00"),
        (Frequency.WEEKLY, "2026-01-15 12:00", "01-19 09:00"),  # a Thursday
        (Frequency.WEEKLY, "2026-01-19 08:00", "01-19 09:00"),
        (Frequency.WEEKLY, "2026-01-19 09:00", "01-26 09:00"),
    ],
)
def test_digests_are_due_at_the_next_time_of_day(frequency: Frequency, now: str, expected: str) -> None:
    assert expected == until(prefers(frequency, zone="UTC"), at(now))


def test_a_digest_that_is_due_in_the_quiet_hours_waits_for_their_end() -> None:
    preferences = prefers(Frequency.DAILY, QuietHours(begin=8 * 60, end=10 * 60), "UTC")
    hold = find_hold(
        preferences, RULES, since=at("2026-01-15 07:00"), now=at("2026-01-15 07:00"), may_join_digest=True
    )
    assert hold is not None
    assert (at("2026-01-15 10:00"), HoldReason.DAILY) == (hold.until, hold.reason)


def test_a_digest_that_was_due_long_ago_waits_only_for_the_quiet_hours() -> None:
    preferences = prefers(Frequency.DAILY, NIGHT, "UTC")
    since = at("2026-01-15 07:00")
    assert "01-16 08:00" == until(preferences, at("2026-01-15 23:00"), since=since)
    assert "" == until(preferences, at("2026-01-15 21:00"), since=since)


def test_what_belongs_to_no_digest_waits_only_for_the_quiet_hours() -> None:
    preferences = prefers(Frequency.WEEKLY, NIGHT, "UTC")
    assert "" == until(preferences, at("2026-01-15 12:00"), joins=False)
    assert "01-16 08:00" == until(preferences, at("2026-01-15 23:00"), joins=False)


def test_a_zone_that_this_system_does_not_know_is_replaced() -> None:
    assert RULES.zone == prefers(zone="Mars/Phobos").get_zone(RULES.zone)


@pytest.mark.parametrize(
    "text, minute", [("00:00", 0), ("9:05", 545), ("23:59", 1439), ("22:30 +0800", 1350)]
)
def test_a_time_of_day_is_read(text: str, minute: int) -> None:
    assert minute == read_minute(text)
    assert minute == read_minute(write_minute(minute))


@pytest.mark.parametrize("text", ["", "24:00", "12:60", "noon", "12", "-1:00", "12:00:00"])
def test_anything_else_is_no_time_of_day(text: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        read_minute(text)


def test_a_form_changes_what_it_names() -> None:
    known = prefers(Frequency.DAILY, NIGHT, "UTC")
    assert known == apply_form(known, {})
    changed = apply_form(
        known, {"frequency": "weekly", "quiet_from": "off", "quiet_to": "off", "language": "en"}
    )
    assert (Frequency.WEEKLY, None, CardLanguage.EN, "UTC") == (
        changed.frequency,
        changed.quiet_hours,
        changed.language,
        changed.zone,
    )


@pytest.mark.parametrize(
    "form, error",
    [
        ({"frequency": "hourly"}, InvalidChoiceError),
        ({"language": "fr"}, InvalidChoiceError),
        ({"zone": "Mars/Phobos"}, InvalidChoiceError),
        ({"quiet_from": "25:00"}, InvalidChoiceError),
        ({"quiet_from": "off"}, HalfQuietHoursError),
        ({"quiet_from": "08:00"}, SameTimesError),
    ],
)
def test_a_form_with_something_else_changes_nothing(form: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error):
        apply_form(prefers(quiet=NIGHT), form)


def test_the_id_of_the_button_names_the_delivery_and_cannot_be_made_without_its_key() -> None:
    ref = make_settings_ref(12, "abc")
    assert 12 == get_delivery_id(ref)
    assert ref == make_settings_ref(12, "abc.1"), "a retry of an operator keeps the button"
    assert ref != make_settings_ref(12, "abd")
    assert len(make_settings_ref(2**63 - 1, "k")) <= 64
    assert [None] * 4 == [get_delivery_id(each) for each in ("", "settings-", "settings-x-y", "doctor-1-2")]
