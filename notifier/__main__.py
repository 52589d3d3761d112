"""The `notifier` command, and `python -m notifier`.

A stop may come before the imports are done: they take a second. Process 1 of a container has no default action for
SIGTERM, and elsewhere the exit code would not be 0. So the first handler is set here, before any heavy import. It also
meets a second stop that comes during the exit.
"""

import io
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType


def main() -> None:
    """Run the command line."""
    # files and folders hold names, ids and amounts: they belong to the user of the service alone
    os.umask(0o077)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that cannot show a character gets its number
        sys.stdout.reconfigure(errors="backslashreplace")
    runs = bool({"run", "sandbox"} & set(sys.argv[1:2]))
    if runs:
        _handle_stops(_stop_at_once)
    from notifier.cli.main import cli  # noqa: PLC0415 - see above

    try:
        cli(prog_name="notifier")
    finally:
        if runs:  # Python's own end would set every other handler back to the default
            _handle_stops(signal.SIG_IGN)


def _handle_stops(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handler)


def _stop_at_once(_number: int, _frame: FrameType | None) -> None:
    """Before the start and after the stop, nothing runs that needs an end. In between `stop_on_signals` applies."""
    os._exit(0)


if __name__ == "__main__":
    main()
