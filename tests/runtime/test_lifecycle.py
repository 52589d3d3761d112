"""The handlers of the signals before, during and after the program."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from notifier.runtime.lifecycle import stop_on_signals

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture
def received() -> Iterator[list[int]]:
    """The signals that the earlier handler received."""
    numbers: list[int] = []
    earlier = {number: signal.signal(number, lambda each, _frame: numbers.append(each)) for number in SIGNALS}
    yield numbers
    for number, handler in earlier.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_after_the_stop_meets_the_earlier_handler(
    received: list[int], number: signal.Signals
) -> None:
    """The default would end the process with 143, although it stopped as it should."""

    async def program() -> None:
        stop = asyncio.Event()
        with stop_on_signals(stop):
            signal.raise_signal(number)
            await asyncio.wait_for(stop.wait(), 10)
            assert [] == received
        signal.raise_signal(number)

    asyncio.run(program())
    signal.raise_signal(number)
    assert [number, number] == received


def test_a_signal_while_python_ends_changes_no_exit_code() -> None:
    """Python sets its handlers back to the default at its end, but it leaves ignored signals alone."""
    program = (
        "import atexit, signal, sys; from notifier.__main__ import main; sys.argv = ['notifier', 'run', '--help'];"
        "atexit.register(lambda: print(*map(signal.getsignal, (signal.SIGTERM, signal.SIGINT))));"
        "main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert 0 == ended.returncode
    assert f"{int(signal.SIG_IGN)} {int(signal.SIG_IGN)}" == ended.stdout.splitlines()[-1]
