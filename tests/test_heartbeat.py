"""Pulse: what the process says of itself, and since when it can be sure of having heard everything."""

import pytest

from notifier.feishu.long_connection.listener import ConnectionState, ConnectionStatus
from notifier.runtime.heartbeat import Heartbeat, received_since


@pytest.mark.parametrize(
    "connected, refused, expected",
    [(None, None, None), (None, 5, None), (10, None, 10), (10, 5, 10), (10, 20, 20)],
)
def test_what_we_refused_ourselves_proves_no_deafness(
    connected: int | None, refused: int | None, expected: int | None
) -> None:
    assert expected == received_since(connected, refused)


def test_a_process_is_ready_when_events_reach_it_and_its_credentials_hold() -> None:
    heartbeat = Heartbeat(ConnectionStatus(state=ConnectionState.CONNECTED), 1)

    assert heartbeat.readiness().is_ready
    assert {"credentials": "wrong"} == heartbeat.readiness("wrong").problems
    assert not Heartbeat(ConnectionStatus(state=ConnectionState.LOST, detail="gone"), 1).readiness().is_ready
