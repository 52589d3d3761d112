"""`python -m notifier.sandbox.control.table`: prints the tables of docs/sandbox-api.md."""

import asyncio
import sys

from notifier.sandbox.control.table.all_routes import list_routes
from notifier.sandbox.control.table.entries import GROUPS
from notifier.sandbox.control.table.openapi import write_page
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.world.world import World


async def _write() -> str:
    world = World(SandboxSettings())
    return write_page(list_routes(world.first, world), GROUPS)


if __name__ == "__main__":
    sys.stdout.write(asyncio.run(_write()))
