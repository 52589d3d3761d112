"""The long connection imports a small part of Feishu's SDK, and spoils the SDK for nobody."""

import json
import subprocess
import sys

OURS = """
from notifier.feishu.long_connection.sdk_parts import without_api_clients
with without_api_clients():
    from notifier.feishu.long_connection import client
"""
COUNT = """
import json, sys
print(json.dumps(sorted(name for name in sys.modules if name.split(".")[0] == "lark_oapi")))
"""
COMPLETE = """
import lark_oapi as lark
from lark_oapi.api.im.v1 import CreateMessageRequest
from lark_oapi.event.dispatcher_handler import EventDispatcherHandler
handler = EventDispatcherHandler.builder("", "").build()
assert lark.ws.Client("cli_x", "secret", event_handler=handler) is not None
assert lark.Client.builder().app_id("cli_x").app_secret("s").build() is not None
"""


def run(program: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert 0 == ran.returncode, ran.stderr
    return ran.stdout


def test_the_connection_needs_few_modules_of_the_sdk() -> None:
    """The program would otherwise need 170 MB more, and start 2 s later."""
    counting = OURS.replace("    from notifier", "    import sys\n    from notifier") + (
        "print(hasattr(client.sdk, '_parse_ws_conn_exception'))"
    )
    loaded = run(
        OURS.replace(
            "client\n",
            "client\n    import sys\n    print(sum(n.startswith('lark_oapi') for n in sys.modules))\n",
        )
    )

    assert "True\n" == run(counting)
    assert 20 < int(loaded) < 200
    assert [] == json.loads(run(OURS + COUNT)), "nobody else gets the incomplete modules"


def test_a_program_that_uses_the_sdk_too_gets_all_of_it() -> None:
    run(OURS + COMPLETE)
    run(COMPLETE + OURS + COMPLETE)
