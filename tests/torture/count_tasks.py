"""The notifier's own command line, in a process that also writes down how many asyncio tasks it holds.

    python tests/torture/count_tasks.py run --config config.yaml

Once a second, into the file that SOAK_TASKS_FILE names: tasks cannot be counted from outside.
"""

import asyncio
import os
import threading
from pathlib import Path

from notifier.__main__ import main as notifier_main

TASKS_FILE = "SOAK_TASKS_FILE"
EVERY_SECONDS = 1.0


def main() -> None:
    loops: list[asyncio.AbstractEventLoop] = []
    run_forever = asyncio.BaseEventLoop.run_forever

    def noting(loop: asyncio.BaseEventLoop) -> None:
        loops.append(loop)
        run_forever(loop)

    asyncio.BaseEventLoop.run_forever = noting  # type: ignore[method-assign,assignment]

    def count() -> None:
        file = Path(os.environ[TASKS_FILE])
        while True:
            loops[:] = {id(loop): loop for loop in loops if not loop.is_closed()}.values()
            file.write_text(str(sum(len(asyncio.all_tasks(loop)) for loop in loops)), encoding="utf-8")
            threading.Event().wait(EVERY_SECONDS)

    threading.Thread(target=count, name="counting", daemon=True).start()
    notifier_main()


if __name__ == "__main__":
    main()
