"""Commands: a program of the app's that a button on the page starts."""

import asyncio
import os
from collections.abc import Sequence

TIMEOUT_SECONDS = 60.0


class CommandFailedError(ValueError):
    """It could not be run, or said no; the text is what it said last."""


async def run_command(arguments: Sequence[str]) -> str:
    """The last line that it printed. It sees none of the settings of this shell that are meant for the app."""
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
    lines = printed.decode(errors="replace").strip().splitlines() or ["(it said nothing)"]
    if process.returncode:
        raise CommandFailedError(lines[-1])
    return lines[-1]
