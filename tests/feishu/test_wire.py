"""Wire: what Feishu sends becomes values, exactly, or is parked with a reason; nothing makes it raise more."""

import contextlib
import hashlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.account import Referrer
from notifier.domain.event import BALANCE_CHANGED, UNREADABLE, AccountKey, BalanceReport, Event
from notifier.domain.money import POINTS, Asset, Kind
from notifier.errors import Quarantined
from notifier.feishu.wire import (
    LONGEST_ID,
    LONGEST_KEY,
    read_balance_report,
    read_event,
    read_json,
    read_referrer,
    without_tokens,
)
from support.builders import ACCOUNT_ID, CNY, MODIFIED_AT, USD, balance_event, balance_payload

PAGE = Path(__file__).with_name("fixtures") / "assets_update.json"


def reported(**values: Any) -> BalanceReport:
    return read_balance_report(balance_event(**values))


def reported_amount(amount: object) -> Decimal:
    """The CNY read from an amount as it stands in the JSON text: a str is put there without quotes."""
    return reported_raw("amount", amount).amounts.get(CNY, Decimal(0))


def reported_raw(place: str, text: object) -> BalanceReport:
    """A report whose amount, points or currency is this piece of JSON text."""
    values: dict[str, Any] = {
        "amount": {"cash": [{"currency_type": "CNY", "amount": "@@"}]},
        "points": {"points": "@@"},
        "currency": {"cash": [{"currency_type": "@@", "amount": 350.5}]},
    }
    payload = balance_payload(**values[place]).replace(b'"@@"', str(text).encode())
    return read_balance_report(read_event(payload, app_id="cli_x"))


def with_event(**members: object) -> Event:
    """The event of the page with these members of `event`; those that are ... are left out."""
    document = json.loads(PAGE.read_bytes())
    document["event"] |= members
    document["event"] = {name: value for name, value in document["event"].items() if value is not ...}
    return read_event(json.dumps(document).encode(), app_id="cli_x")


def with_header(**members: object) -> Event:
    document = json.loads(PAGE.read_bytes())
    document["header"] |= members
    document["header"] = {name: value for name, value in document["header"].items() if value is not ...}
    return read_event(json.dumps(document).encode(), app_id="cli_own")


def test_the_event_of_feishus_page_is_read_in_full() -> None:
    payload = PAGE.read_bytes()
    event = read_event(payload, app_id="cli_own")

    assert (
        Event(
            key="ev-1",
            event_type=BALANCE_CHANGED,
            tenant_key="tk",
            app_id="cli_x",
            created_at=1_700_000_000_000,
            payload=payload,
        )
        == event
    )
    assert BalanceReport(
        account=AccountKey(tenant_key="tk", app_id="cli_x", account_id="7000000000000000001"),
        modified_at=1_700_000_000_000,
        reported_at=1_700_000_000_000,
        amounts={CNY: Decimal("350.5000"), POINTS: Decimal("120.0000")},
    ) == read_balance_report(event)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b'"text"',
        b"{",
        b"{}",
        b"<html>",
        b"\xff\xfe",
        b"\x00",
        b'{"header": 7}',
        b"NaN",
    ],
)
def test_what_is_no_event_is_kept_as_unreadable(raw: bytes) -> None:
    event = read_event(raw, app_id="cli_own")

    assert (UNREADABLE, "cli_own", "", 0) == (
        event.event_type,
        event.app_id,
        event.tenant_key,
        event.created_at,
    )
    assert f"sha256:{hashlib.sha256(raw).hexdigest()}" == event.key
    assert raw == event.payload


@pytest.mark.parametrize("event_id", [..., None, "", 7, [], {"a": 1}, True])
def test_an_event_without_an_id_gets_the_digest_of_its_payload(event_id: object) -> None:
    event = with_header(event_id=event_id)

    assert f"sha256:{hashlib.sha256(event.payload).hexdigest()}" == event.key


def test_an_id_longer_than_our_column_is_replaced_by_its_digest_so_copies_still_meet() -> None:
    first, second = with_header(event_id="e" * 129), with_header(event_id="e" * 129, token="other")

    assert first.key == second.key
    assert LONGEST_KEY >= len(first.key)
    assert first.key != with_header(event_id="e" * 130).key


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\x00", "a\x00b"])
def test_text_that_no_database_can_store_is_made_storable(text: str) -> None:
    event = with_header(event_id=text, tenant_key=text, app_id=text, event_type=text)

    for stored in (event.key, event.tenant_key, event.app_id, event.event_type):
        assert text.encode("utf-8", "replace").decode().replace("\x00", "?") == stored


def test_names_longer_than_our_columns_are_cut() -> None:
    event = with_header(tenant_key="t" * 500, app_id="a" * 500, event_type="e" * 500)

    assert ("t" * LONGEST_ID, "a" * LONGEST_ID) == (event.tenant_key, event.app_id)
    assert "e" * LONGEST_KEY == event.event_type


@pytest.mark.parametrize(
    "millis, create_time",
    [
        (1_700_000_000_000, "1700000000000"),
        (1_700_000_000_000, "1700000000000999"),
        (1_700_000_000_000, "1700000000"),
        (1_700_000_000_000, 1700000000000),
        (0, None),
        (0, ...),
        (0, "yesterday"),
        (0, "-1700000000000"),
        (0, "１７０００００００００００"),
        (0, "17000000000000000"),
        (0, 1.7e12),
        (0, True),
    ],
)
def test_the_time_of_an_event_is_read_in_each_unit_feishu_uses_or_is_absent(
    millis: int, create_time: object
) -> None:
    assert millis == with_header(create_time=create_time).created_at


def test_an_event_of_the_old_schema_is_known_by_its_uuid() -> None:
    body = {"uuid": "u-1", "event": {"type": "message", "tenant_key": "tk", "app_id": "cli_x"}}
    event = read_event(json.dumps(body).encode(), app_id="cli_own")

    assert ("u-1", "message", "tk", "cli_x") == (event.key, event.event_type, event.tenant_key, event.app_id)


@pytest.mark.parametrize(
    "written, amount",
    [
        ("350.5", "350.5"),
        ("0.3", "0.30000000000000004"),
        ("0.01", "1e-2"),
        ("1000000000000", "1e12"),
        ("1000000000000", "1000000000000"),
        ("-12.34", "-12.34"),
        ("350.50", '"350.50"'),
        ("350.50", '" 350.50 "'),
        ("350", '"350"'),
        ("-0.5", '"-0.5"'),
        ("1200", '"1.2e3"'),
        ("0", "0"),
        ("0", "-0.0"),
        ("0", '"0.00"'),
        ("0", "1e-400"),
    ],
)
def test_an_amount_is_read_exactly_as_number_and_as_text(written: str, amount: str) -> None:
    assert Decimal(written) == reported_amount(amount)


@pytest.mark.parametrize(
    "amount",
    [
        "null",
        "true",
        "false",
        "[]",
        "[350.5]",
        '{"value": 350.5}',
        '""',
        '" "',
        '"12,50"',
        '"1_000"',
        '"¥12"',
        '"１２"',
        '"0x10"',
        '"NaN"',
        '"Infinity"',
        '"1e400"',
        '"1e1000000"',
        '"1e99999999999999999999"',
        "0.00001",
        "1e14",
        "-1e14",
        "1e400",
        "1e1000000",
        "9" * 300,
        "9" * 401,
        f"0.{'1' * 401}",
        f'"{"9" * 401}"',
    ],
)
def test_what_is_no_amount_is_parked_under_its_path(amount: str) -> None:
    with pytest.raises(
        Quarantined, match=r"event\.assets\.confirmed_bonus\.cash_bonus\[0\]\.amount|a number of"
    ):
        reported_amount(amount)


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e99999999999999999999", "012", "+1", ".5"]
)
def test_what_is_no_json_number_makes_the_payload_unreadable(number: str) -> None:
    with pytest.raises(Quarantined):
        reported_amount(number)

    payload = balance_payload(points="@@").replace(b'"@@"', number.encode())
    assert UNREADABLE == read_event(payload, app_id="cli_x").event_type


def test_an_amount_absent_from_its_entry_is_zero_as_encoders_leave_zeros_out() -> None:
    assert {} == dict(reported(points=0, cash=[{"currency_type": "CNY"}]).amounts)


def test_an_amount_that_is_null_is_parked() -> None:
    with pytest.raises(Quarantined, match=r"cash_bonus\[0\]\.amount is missing"):
        reported(cash=[{"currency_type": "CNY", "amount": None}])


@pytest.mark.parametrize(
    "points, text", [(120, "120"), (120, "120.0"), (120, '"120"'), (-5, "-5"), (0, "null")]
)
def test_points_are_whole_numbers_however_they_are_written(points: int, text: str) -> None:
    assert points == reported_raw("points", text).amounts.get(POINTS, 0)


@pytest.mark.parametrize("text", ["1.5", "true", '"many"', "[]", "{}", "1e400"])
def test_what_is_no_number_of_points_is_parked(text: str) -> None:
    with pytest.raises(Quarantined, match=r"confirmed_bonus\.point_bonus"):
        reported_raw("points", text)


@pytest.mark.parametrize(
    "code, text",
    [
        ("CNY", '"CNY"'),
        ("CNY", '"cny"'),
        ("CNY", '"1"'),
        ("CNY", "1"),
        ("BDT", "48"),
        ("XYZ", '"XYZ"'),
        ("49", "49"),
        ("金", '"金"'),
    ],
)
def test_a_currency_is_read_in_each_form_it_may_come_in(code: str, text: str) -> None:
    assert {Asset(Kind.CASH, code), POINTS} == set(reported_raw("currency", text).amounts)


@pytest.mark.parametrize(
    "text", ["null", '""', '"  "', "true", "1.0", "[]", "{}", f'"{"X" * 17}"', r'"\ud800"', r'"\u0000"']
)
def test_what_names_no_currency_is_parked_under_its_path(text: str) -> None:
    with pytest.raises(Quarantined, match=r"cash_bonus\[0\]\.currency_type"):
        reported_raw("currency", text)


def test_each_currency_is_an_asset_of_its_own() -> None:
    cash = [{"currency_type": "USD", "amount": 80}, {"currency_type": "CNY", "amount": 350.5}]

    assert {CNY: Decimal("350.5"), USD: Decimal(80)} == reported(points=0, cash=cash).amounts


@pytest.mark.parametrize("second", ["CNY", "cny", "1", 1])
def test_a_currency_that_stands_there_twice_is_parked_in_whatever_form(second: object) -> None:
    cash = [{"currency_type": "CNY", "amount": 1}, {"currency_type": second, "amount": 2}]
    with pytest.raises(Quarantined, match="CNY occurs twice"):
        reported(cash=cash)


@pytest.mark.parametrize("cash", [[], None])
def test_no_cash_is_zero(cash: object) -> None:
    bonus = {"confirmed_bonus": {"point_bonus": 120, "cash_bonus": cash}}

    assert {POINTS: Decimal(120)} == read_balance_report(with_event(assets=bonus)).amounts


def test_kinds_that_are_left_out_are_zero() -> None:
    assert {} == read_balance_report(with_event(assets={"confirmed_bonus": {}})).amounts


@pytest.mark.parametrize(
    "assets", [..., None, [], "x", 7, {}, {"confirmed_bonus": None}, {"confirmed_bonus": []}]
)
def test_a_report_without_a_balance_is_parked_and_not_taken_for_zero(assets: object) -> None:
    with pytest.raises(Quarantined, match=r"event\.assets.* not an object"):
        read_balance_report(with_event(assets=assets))


@pytest.mark.parametrize("cash", ["x", 7, {}, True, [7], [None], [[]], [[[[]]]]])
def test_nested_garbage_in_place_of_cash_is_parked(cash: object) -> None:
    with pytest.raises(Quarantined, match=r"event\.assets\.confirmed_bonus\.cash_bonus"):
        reported(cash=cash)


@pytest.mark.parametrize(
    "account_id, value", [(ACCOUNT_ID, int(ACCOUNT_ID)), (ACCOUNT_ID, ACCOUNT_ID), ("acc-x", "acc-x")]
)
def test_an_account_id_is_text_even_where_it_comes_as_a_number(account_id: str, value: object) -> None:
    assert account_id == reported(account_id=value).account.account_id


@pytest.mark.parametrize("account_id", [..., None, "", [], {}, True, 1.5, "7" * 65, 10**64])
def test_what_is_no_account_id_is_parked(account_id: object) -> None:
    with pytest.raises(Quarantined, match=r"event\.account_id is .*, not the id of an account"):
        read_balance_report(with_event(account_id=account_id))


@pytest.mark.parametrize("modify_time", ["1700000000000", "1700000000000123", "1700000000", 1700000000000])
def test_the_time_of_a_change_is_read_in_each_unit(modify_time: object) -> None:
    assert MODIFIED_AT == reported(modify_time=modify_time).modified_at


@pytest.mark.parametrize(
    "modify_time",
    [..., None, "", "0", 0, "soon", "-1", -1, True, 1.7e12, "1" * 17, "1700000000000.5", [], {}],
)
def test_a_change_without_a_time_is_parked_as_it_could_not_be_put_in_order(modify_time: object) -> None:
    with pytest.raises(Quarantined, match=r"event\.modify_time is .*, not a time in milliseconds"):
        read_balance_report(with_event(modify_time=modify_time))


def test_an_event_without_a_creation_time_is_no_hindrance() -> None:
    assert 0 == read_balance_report(with_header(create_time=...)).reported_at


def test_members_we_do_not_know_change_nothing() -> None:
    document = json.loads(PAGE.read_bytes())
    bonus = document["event"]["assets"]["confirmed_bonus"]
    bonus["cash_bonus"][0]["note"] = "new"
    for known in (document, document["header"], document["event"], document["event"]["assets"], bonus):
        known["something_new"] = {"deep": [1, 2.5, None]}
    event = read_event(json.dumps(document).encode(), app_id="cli_x")

    assert read_balance_report(read_event(PAGE.read_bytes(), app_id="cli_x")) == read_balance_report(event)


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"{", b'{"event": 7}', b'{"header": {}}'])
def test_a_payload_that_is_no_report_is_parked(raw: bytes) -> None:
    with pytest.raises(Quarantined):
        read_balance_report(read_event(raw, app_id="cli_x"))


@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("levels", [300, 900, 940, 980, 1000, 100_000])
def test_deep_nesting_is_parked(opening: str, closing: str, levels: int) -> None:
    with pytest.raises(Quarantined):
        reported_amount(opening * levels + "1" + closing * levels)


def test_what_a_parked_report_shows_of_a_wrong_value_is_short() -> None:
    with pytest.raises(Quarantined) as parked:
        reported(cash="x" * 10_000)

    assert 200 > len(str(parked.value))


def test_json_with_a_byte_order_mark_or_in_utf_16_is_read() -> None:
    assert {"a": "好"} == read_json('\ufeff{"a": "好"}'.encode())
    assert {"a": "好"} == read_json('{"a": "好"}'.encode("utf-16"))


@pytest.mark.parametrize(
    "referrer, account",
    [
        (
            Referrer(open_id="ou_lin", name_zh="林小满", name_en="Lin"),
            {"referrer": {"id": "ou_lin", "name": {"zh_cn": "林小满", "en_us": "Lin"}}},
        ),
        (Referrer(open_id="ou_lin"), {"referrer": {"id": "ou_lin"}}),
        (Referrer(open_id="ou_lin"), {"referrer": {"id": "ou_lin", "name": "Lin"}}),
        (
            Referrer(open_id="ou_lin", name_zh="?"),
            {"referrer": {"id": "ou_lin", "name": {"zh_cn": "\ud800", "en_us": 7}}},
        ),
        (Referrer(open_id="ou_?"), {"referrer": {"id": "ou_\ud800"}}),
        (None, {"referrer": {"id": ""}}),
        (None, {"referrer": {"id": 7}}),
        (None, {"referrer": {"id": "o" * 65}}),
        (None, {"referrer": {}}),
        (None, {"referrer": None}),
        (None, {}),
        (None, None),
        (None, "account"),
    ],
)
def test_the_owner_of_an_account_is_read_or_nobody(referrer: Referrer | None, account: object) -> None:
    assert referrer == read_referrer(account)


numbers = st.sampled_from(
    [
        "1e400",
        "1e1000000",
        "1e99999999999999999999",
        "-0.0",
        "9" * 300,
        "9" * 5000,
        "NaN",
        "0.1",
        "1e-999999999",
    ]
)
texts = st.text(st.characters(codec=None, categories=None), max_size=6)
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), texts, numbers.map(lambda number: f"@@{number}@@")
)
json_values = st.recursive(
    leaves,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(texts, inside, max_size=3),
    max_leaves=8,
)


def places_of(document: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inside = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    return [path, *(place for name, value in inside for place in places_of(value, (*path, name)))]


@st.composite
def spoiled_payloads(draw: st.DrawFn) -> bytes:
    """The event of the page with some of its values replaced; @@1e400@@ becomes a bare number."""
    document: Any = {"payload": json.loads(PAGE.read_bytes())}
    for _ in range(draw(st.integers(1, 3))):
        *way, name = draw(st.sampled_from(places_of(document)[1:]))
        spot = document
        for part in way:
            spot = spot[part]
        spot[name] = draw(json_values)
    return json.dumps(document["payload"]).replace('"@@', "").replace('@@"', "").encode()


@given(st.one_of(st.binary(), spoiled_payloads()))
def test_no_payload_whatever_makes_the_reader_raise_anything_but_parked(payload: bytes) -> None:
    event = read_event(payload, app_id="cli_x")

    assert without_tokens(payload) == event.payload
    assert event.key
    assert event.event_type
    (event.key + event.event_type + event.tenant_key + event.app_id).encode()
    with contextlib.suppress(Quarantined):
        report = read_balance_report(event)

        assert 0 < report.modified_at
        assert all(amount.is_finite() for amount in report.amounts.values())
        report.account.account_id.encode()


@pytest.mark.parametrize("end", [b"", b"\\", b'\\"', b"\n"])
def test_a_payload_that_ends_inside_its_token_is_kept_without_it(end: bytes) -> None:
    payload = b'{"header": {"token": "v-secret' + end

    assert b"v-secret" not in read_event(payload, app_id="cli_x").payload


def test_tokens_are_not_kept_and_nothing_else_changes() -> None:
    payload = (
        b'{"schema": "2.0", "header": {"event_id": "ev", "token": "v-se\\"cret", "app_id": "cli_x"}, '
        b'"event": {"token":"c-secret", "amount": 350.50, "text": "a \\"token\\": \\"b\\" text"}}'
    )

    kept = read_event(payload, app_id="cli_x").payload

    assert kept == payload.replace(b'"v-se\\"cret"', b'""').replace(b'"c-secret"', b'""')
    assert b"cret" not in kept
