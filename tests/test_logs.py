"""Logs: a fixed name and fields on one line, and no secret in any of them."""

import io
import json
import logging
import re
from collections.abc import Callable, Iterator

import pytest

from notifier import logs
from notifier.logs import HIDDEN, Redaction

SECRET = "s3cret-of-the-app"
TOKEN = "t-g1045abcdefghijklmnopqrstuvwxyz"
WEBSOCKET = "wss://msg.invalid/ws/v2?device_id=7&access_key=AKabc123&service_id=9&ticket=tk-987-xyz"

Written = Callable[[], str]


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, as it was afterwards."""
    found = logging.getLogger()
    handlers, level = found.handlers[:], found.level
    yield found
    found.handlers[:] = handlers
    found.setLevel(level)
    logging.getLogger("notifier").setLevel(logging.NOTSET)


@pytest.fixture
def written(root: logging.Logger, log_format: str) -> Written:
    """What has been logged so far, by a set-up like that of `run`."""
    stream = io.StringIO()
    logs.set_up_logging(level="info", log_format=log_format, secrets=[SECRET, 'with "quotes" and \\'])
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    return stream.getvalue


@pytest.fixture(params=["text", "json"])
def log_format(request: pytest.FixtureRequest) -> str:
    return str(request.param)


log = logging.getLogger("notifier.test")


def log_failure(error: Exception) -> None:
    try:
        raise error
    except type(error):
        log.exception("worker.failed", extra={"step": "deliver", "nothing": None})


LEAKS = {
    "the app's secret": (f"secret is {SECRET}", SECRET),
    "a secret with quotes": ('it is with "quotes" and \\', "quotes"),
    "a token": (f"sent with {TOKEN}", TOKEN),
    "a header": (f"Authorization: Bearer {TOKEN}", TOKEN),
    "a header of another kind": ("authorization=Basic-abcdef", "abcdef"),
    "a ticket in an address": (WEBSOCKET, "tk-987"),
    "an access key in an address": (WEBSOCKET, "AKabc123"),
    "JSON": ('{"app_secret": "abc123", "ticket":"tk-987"}', "abc123"),
    "JSON inside JSON": (json.dumps({"body": '{"ticket": "tk-987"}'}), "tk-987"),
    "a Python dict": ("{'verification_token': 'abc123'}", "abc123"),
}


@pytest.mark.parametrize("text, secret", LEAKS.values(), ids=LEAKS.keys())
def test_no_secret_passes_in_a_message(written: Written, text: str, secret: str) -> None:
    log.info("%s", text)

    assert HIDDEN in written()
    assert secret not in written()


@pytest.mark.parametrize("text, secret", LEAKS.values(), ids=LEAKS.keys())
def test_no_secret_passes_in_a_field(written: Written, text: str, secret: str) -> None:
    log.info("call.failed", extra={"reason": text, "more": [text]})

    assert HIDDEN in written()
    assert secret not in written()


@pytest.mark.parametrize("text, secret", LEAKS.values(), ids=LEAKS.keys())
def test_no_secret_passes_in_a_traceback(written: Written, text: str, secret: str) -> None:
    log_failure(ConnectionError(text))

    assert "ConnectionError" in written()
    assert secret not in written()


def test_what_is_no_secret_stays(written: Written) -> None:
    log.info("delivery.sent", extra={"message_id": "om_t-1", "uuid": "0123456789abcdef0123456789abcdef-f"})

    assert "om_t-1" in written()
    assert "0123456789abcdef0123456789abcdef-f" in written()
    assert HIDDEN not in written()


def test_an_address_stays_readable_around_its_secrets() -> None:
    assert (
        f"wss://msg.invalid/ws/v2?device_id=7&access_key={HIDDEN}&service_id=9&ticket={HIDDEN}"
        == Redaction()(WEBSOCKET)
    )


@pytest.mark.parametrize("log_format", ["json"], indirect=True)
def test_a_json_line_is_json_whatever_is_hidden_in_it(written: Written) -> None:
    for text, _ in LEAKS.values():
        log.info("call.failed", extra={"reason": text})
    lines = [json.loads(line) for line in written().splitlines()]

    assert ["call.failed"] * len(LEAKS) == [line["event"] for line in lines]


@pytest.mark.parametrize("log_format", ["json"], indirect=True)
def test_a_json_line_holds_time_level_event_fields_and_trace(written: Written) -> None:
    log_failure(ValueError("oh"))
    line = json.loads(written())

    assert ("error", "worker.failed", "deliver") == (line["level"], line["event"], line["step"])
    assert "ValueError: oh" in line["trace"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["at"])
    assert "nothing" not in line


@pytest.mark.parametrize("log_format", ["text"], indirect=True)
def test_a_text_line_quotes_what_would_break_it(written: Written) -> None:
    log.warning("call.failed", extra={"reason": 'two words\nand "lines"', "code": 1})

    assert written().endswith('warning call.failed reason="two words\\nand \\"lines\\"" code=1\n')


@pytest.mark.parametrize("log_format", ["text"], indirect=True)
def test_other_libraries_are_heard_only_from_warnings_on(written: Written) -> None:
    other = logging.getLogger("another.library")
    other.info("chatter")
    other.warning("trouble")
    log.debug("too fine")

    assert ["trouble"] == [line.split()[-1] for line in written().splitlines()]
