"""The notifier's frames, compared with the codec of the sandbox, which shares no code with it."""

import base64
import json

import pytest
from google.protobuf.internal import api_implementation
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from notifier.feishu.long_connection.frames import CONTROL, decode_frame, encode_ping
from notifier.sandbox.push.frames import DATA, Frame

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
EVENT = Frame(seq_id=7, log_id=8, service=3, method=DATA, headers=(("type", "event"),), payload=b"{}")


def test_frames_are_decoded_by_a_compiled_runtime() -> None:
    assert "upb" == api_implementation.Type()


@given(frames)
def test_a_frame_is_read_as_the_sandbox_wrote_it(sent: Frame) -> None:
    received = decode_frame(sent.to_bytes())

    assert (sent.method, dict(sent.headers)) == (received.method, received.headers)
    assert (sent.payload or b"") == received.payload


@given(frames)
def test_a_response_repeats_the_frame_with_the_elapsed_time_and_another_payload(sent: Frame) -> None:
    response = Frame.from_bytes(
        decode_frame(sent.to_bytes()).encode_response(500, data=None, elapsed_ms=1234)
    )

    assert (*sent.headers, ("biz_rt", "1234")) == response.headers
    assert {"code": 500} == json.loads(response.payload or b"")
    for name in ("seq_id", "log_id", "service", "method", "payload_encoding", "payload_type", "log_id_new"):
        assert getattr(sent, name) == getattr(response, name)


def test_a_response_document_is_sent_as_base64() -> None:
    response = Frame.from_bytes(
        decode_frame(EVENT.to_bytes()).encode_response(200, data='{"toast":"好"}', elapsed_ms=0)
    )
    body = json.loads(response.payload or b"")

    assert (200, '{"toast":"好"}') == (body["code"], base64.b64decode(body["data"]).decode())


def test_unknown_fields_return_with_the_response() -> None:
    unknown = b"\xa2\x06\x03abc"

    response = decode_frame(EVENT.to_bytes() + unknown).encode_response(200, data=None, elapsed_ms=0)

    assert unknown in response


@pytest.mark.parametrize("raw", [b"", b"\x08\x01", b"\x08", b"\x42\x7f", b"\x0b", b"\x00\x00", b"{}"])
def test_an_invalid_frame_is_refused(raw: bytes) -> None:
    with pytest.raises((ValueError, DecodeError)):
        decode_frame(raw)


@given(st.binary(max_size=80))
def test_no_bytes_cause_another_error(raw: bytes) -> None:
    try:
        frame = decode_frame(raw)
    except (ValueError, DecodeError):
        return

    assert frame.encode_response(200, data=None, elapsed_ms=0)


def test_a_ping_has_the_form_that_feishu_expects() -> None:
    assert Frame(service=33554678, method=CONTROL, headers=(("type", "ping"),)) == Frame.from_bytes(
        encode_ping(33554678)
    )
