"""The codec of the long connection's frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.sandbox.push.frames import Frame, FrameError

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30)
frames = st.builds(
    Frame,
    seq_id=st.integers(0, 2**64 - 1),
    log_id=st.integers(0, 2**64 - 1),
    service=st.integers(-(2**31), 2**31 - 1),
    method=st.integers(-(2**31), 2**31 - 1),
    headers=st.lists(st.tuples(texts, texts), max_size=6).map(tuple),
    payload_encoding=st.none() | texts,
    payload_type=st.none() | texts,
    payload=st.none() | st.binary(max_size=300),
    log_id_new=st.none() | texts,
)


@given(frames)
def test_a_frame_survives_the_way_to_bytes_and_back(frame: Frame) -> None:
    assert frame == Frame.from_bytes(frame.to_bytes())


@given(st.binary(max_size=80))
def test_garbage_is_a_frame_error_or_a_frame_and_nothing_else(raw: bytes) -> None:
    try:
        frame = Frame.from_bytes(raw)
    except FrameError:
        return

    assert frame == Frame.from_bytes(frame.to_bytes())


@given(frames, st.data())
def test_a_frame_cut_short_is_refused_or_lacks_its_end(frame: Frame, data: st.DataObject) -> None:
    raw = frame.to_bytes()
    cut = raw[: data.draw(st.integers(0, len(raw) - 1))]

    try:
        found = Frame.from_bytes(cut)
    except FrameError:
        return

    assert frame != found


def test_unknown_fields_of_every_kind_are_skipped() -> None:
    known = Frame(seq_id=7, service=3, method=1, headers=(("type", "event"),), payload=b"{}").to_bytes()
    unknown = b"\xa0\x06\x96\x01" + b"\xa2\x06\x03abc" + b"\xa1\x06" + bytes(8) + b"\xa5\x06" + bytes(4)

    assert Frame.from_bytes(known) == Frame.from_bytes(unknown + known + unknown)


@pytest.mark.parametrize(
    "raw, reason",
    [
        (b"", "required field missing: SeqID, LogID, service, method"),
        (b"\x08", "ends inside a number"),
        (b"\x08" + b"\xff" * 11, "number longer than 10 bytes"),
        (b"\x42\x7f", "runs past the end"),
        (b"\x0b", "wire type 3"),
        (b"\x00\x00", "field number 0"),
        (b"\x0a\x01a", "field 1 should be a number"),
        (b"\x40\x01", "field 8 should be bytes"),
        (b"\x2a\x02\x0a\x00", "header without key or value"),
        (b"\x32\x01\xff\x08\x00\x10\x00\x18\x00\x20\x00", "not UTF-8"),
    ],
)
def test_a_refused_frame_says_why(raw: bytes, reason: str) -> None:
    with pytest.raises(FrameError, match=reason):
        Frame.from_bytes(raw)


def test_the_first_of_a_repeated_header_counts() -> None:
    frame = Frame(headers=(("type", "event"), ("type", "card")))

    assert frame.header("type") == "event"
    assert frame.header("seq") is None
