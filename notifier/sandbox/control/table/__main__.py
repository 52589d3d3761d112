"""`python -m notifier.sandbox.control.table`: prints the tables of docs/sandbox-api.md."""

import asyncio
import sys

from notifier.sandbox.control.table.all_routes import list_routes
from notifier.sandbox.control.table.entries import GROUPS
from notifier.sandbox.control.table.openapi import write_page
from notifier.sandbox.sandbox import Sandbox
from notifier.sandbox.settings import SandboxSettings


async def _write() -> str:
    return write_page(list_routes(Sandbox(SandboxSettings())), GROUPS)


if __name__ == "__main__":
    sys.stdout.write(asyncio.run(_write()))
