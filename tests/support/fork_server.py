"""Forks `notifier` processes from one that has imported everything and compiled the shipped card templates.

Both take most of the CPU of a short run.

Requests come on stdin and responses go to stdout, one line of JSON each. A response has the `id` of its request:

    {"run": {"words": ["run", ...], "environment": {}, "folder": path, "stdin": file, "stdout": file,
             "stderr": file, "crash": {"step", "when", "nth", "hit": file} or null}}  ->  {"pid": int}
    {"poll": pid}  ->  {"status": int}, null while it runs

It forks with one thread and no running loop, so a child behaves as a new process. A child ends as any Python program:
with its exit handlers.
"""

import gc
import importlib
import json
import os
import pkgutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

import notifier
from notifier import __main__ as program
from notifier.feishu.long_connection.sdk_parts import without_api_clients
from support.compiled_templates import compile_shipped_templates, keep_compiled_templates

DIALECTS = ("sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql.psycopg")
NOT_IMPORTED = ("notifier.sandbox.pytest_plugin", "notifier.store.schema.migrations")


def _become_program(request: dict[str, Any]) -> None:
    """In the child: use the files, the environment and the folder of the request."""
    for number, name, flags in (
        (0, "stdin", os.O_RDONLY),
        (1, "stdout", os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        (2, "stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND),
    ):
        opened = os.open(request[name], flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - the server has read ahead in its own
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.chdir(request["folder"])
    sys.argv = ["notifier", *request["words"]]
    if crash := request["crash"]:
        from support.crash_plan import CrashPlan  # noqa: PLC0415 - few need it

        CrashPlan(step=crash["step"], when=crash["when"], nth=crash["nth"], hit=Path(crash["hit"])).install()


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """Respond to a request. Returns {} in the child."""
    if "poll" in request:
        pid, status = os.waitpid(request["poll"], os.WNOHANG)
        return {"status": status if pid else None}
    if threading.active_count() > 1:
        raise RuntimeError("a process with several threads must not be forked")
    pid = os.fork()
    if pid:
        return {"pid": pid}
    _become_program(request["run"])
    return {}


def main() -> None:
    with without_api_clients():  # as a run does
        importlib.import_module("notifier.feishu.long_connection.client")
    names = [each.name for each in pkgutil.walk_packages(notifier.__path__, "notifier.")]
    for name in (*names, *DIALECTS):
        if not name.startswith(NOT_IMPORTED):
            importlib.import_module(name)
    keep_compiled_templates()
    compile_shipped_templates()
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        response = _answer(request)
        if not response:
            program.main()
            return
        print(json.dumps({**response, "id": request["id"]}), flush=True)  # noqa: T201 - read by the parent


if __name__ == "__main__":
    main()
