"""Runs a command of the app under test, for a button on the page."""

import asyncio
import os
from collections.abc import Sequence

TIMEOUT_SECONDS = 60.0


class CommandFailedError(ValueError):
    """The command could not be run or failed. The text is its last line of output."""


async def run_command(arguments: Sequence[str]) -> str:
    """Runs a command for at most `TIMEOUT_SECONDS` and returns the last line of its output.

    Environment variables that configure the app are hidden from it. Raises CommandFailedError.
    """
    if not arguments:
        raise CommandFailedError("no command is set for this")
    hidden = ("NOTIFIER_", "FEISHU_", "LARK_", "APP_ID", "APP_SECRET")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    process = await asyncio.create_subprocess_exec(
        *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=environment
    )
    try:
        printed, _ = await asyncio.wait_for(process.communicate(), TIMEOUT_SECONDS)
    except TimeoutError as error:
        process.kill()
        await process.wait()
        raise CommandFailedError(f"no answer within {TIMEOUT_SECONDS:g} s") from error
    lines = printed.decode(errors="replace").strip().splitlines() or ["(no output)"]
    if process.returncode:
        raise CommandFailedError(lines[-1])
    return lines[-1]
