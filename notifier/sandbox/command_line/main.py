"""The start of `feishu-sandbox`: SIGINT and SIGTERM end it quietly from the first moment.

The rest of the command takes most of the time to start, so it is imported after the handlers are set.
"""

import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs until SIGTERM or Ctrl-C. Returns the exit code: 2 for an option that is not possible."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _end)
    from notifier.sandbox.command_line.command import run  # noqa: PLC0415 - see above

    return run(arguments)


def _end(_number: int, _frame: object) -> None:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
