"""Discovery: what an answer stands for, whatever HTTP status it comes under."""

import json

import pytest

from notifier.feishu.long_connection.discovery import ConnectFailed, ConnectionRefused, read_endpoint


@pytest.mark.parametrize("status", [200, 400, 403, 500])
def test_a_code_that_we_know_is_believed_under_any_status(status: int) -> None:
    with pytest.raises(ConnectionRefused, match=r"feishu\.app_secret"):
        read_endpoint(status, json.dumps({"code": 1000040345, "msg": "no"}).encode())


@pytest.mark.parametrize(
    "status, raw", [(500, b'{"code": 0, "data": {"URL": "wss://x"}}'), (502, b"<html>"), (200, b"")]
)
def test_what_is_no_good_answer_may_be_one_the_next_time(status: int, raw: bytes) -> None:
    with pytest.raises(ConnectFailed, match=f"HTTP {status}"):
        read_endpoint(status, raw)
