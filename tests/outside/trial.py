"""One trial for bots on any library: a person writes, presses a button and sends an image, and the bot answers."""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from notifier.sandbox.settings import SECRET_PATTERN
from notifier.sandbox.testing import FeishuBox

LIN, GROUP = "ou_sandbox_lin", "oc_sandbox_hr"
PICTURE = {"file_name": "sample.png", "base64": "iVBORw0KGgo="}
SLOW_START_SECONDS = 90
STEP_SECONDS = 40


class Trial:
    """The steps of the trial. Each raises TimeoutError or AssertionError when the bot fails."""

    def __init__(self, box: FeishuBox) -> None:
        self.box = box

    def run(self, steps: Sequence[str]) -> None:
        """Runs the named steps in order."""
        for step in steps:
            getattr(self, step)()

    def _ask(
        self, text: str = "", *, chat_id: str | None = None, answer_type: str | None = None, **message: Any
    ) -> Any:
        """The first message of the bot after one of Lin, in their private chat or in a group."""
        asked = self.box.write(LIN, text, chat_id=chat_id, **message)
        return self.box.wait_for_message(
            sender="app",
            after=asked,
            chat_id=chat_id,
            open_id=None if chat_id else LIN,
            msg_type=answer_type,
            timeout=STEP_SECONDS,
        )

    def receive_and_answer(self) -> None:
        answer = self._ask("hello")
        assert "echo hello" in str(answer["content"])
        assert answer["parent_id"], "it is a reply"

    def answer_in_a_group(self) -> None:
        assert "echo hello" in str(self._ask("hello", chat_id=GROUP)["content"])

    def send_a_card_take_a_click_and_update(self) -> None:
        card = self._ask("card", answer_type="interactive")
        assert "new" in str(card["content"])
        [value] = callback_values(card["content"])
        outcome = self.box.click(card["message_id"], LIN, value)
        assert 0 == outcome["code"], outcome

        def is_updated() -> bool:
            found = self.box.find_messages(open_id=LIN, msg_type="interactive", contains="shipped")
            return card["message_id"] in {one["message_id"] for one in found}

        self.box.wait_for(is_updated, "the card is updated", STEP_SECONDS)

    def upload(self) -> None:
        answer = self._ask("upload")
        key = next(word for word in str(answer["content"]).split("'") if word.startswith(("img_", "file_")))
        assert self.box.file(key).startswith(b"\x89PNG")

    def download(self) -> None:
        assert "picture 8" in str(self._ask(msg_type="image", content=PICTURE)["content"])

    def stream(self) -> None:
        card = self._ask("stream", answer_type="interactive")

        def is_complete() -> bool:
            [found] = [
                one for one in self.box.find_messages(open_id=LIN) if one["message_id"] == card["message_id"]
            ]
            is_ended = found["content"]["config"]["streaming_mode"] is False
            return is_ended and "one two" in str(found["content"]["body"])

        self.box.wait_for(is_complete, "the streamed text is complete and the stream has ended", STEP_SECONDS)

    def read_the_chat(self) -> None:
        assert "chat 招聘" in str(self._ask("chat", chat_id=GROUP)["content"])

    def react(self) -> None:
        asked = self.box.write(LIN, "react")

        def has_reaction() -> bool:
            [found] = [one for one in self.box.messages(LIN) if one["message_id"] == asked]
            return [one["emoji_type"] for one in found["reactions"]] == ["THUMBSUP"]

        self.box.wait_for(has_reaction, "the bot reacts", STEP_SECONDS)


STEPS = (
    "receive_and_answer",
    "answer_in_a_group",
    "send_a_card_take_a_click_and_update",
    "upload",
    "download",
    "read_the_chat",
    "react",
    "stream",
)


def callback_values(content: Any) -> list[Any]:
    """The values of all callback behaviours of a card."""
    if isinstance(content, dict):
        own = [content["value"]] if content.get("type") == "callback" else []
        return own + [value for each in content.values() for value in callback_values(each)]
    return [value for each in content for value in callback_values(each)] if isinstance(content, list) else []


@contextmanager
def running_bot(
    box: FeishuBox, command: Sequence[str], *, folder: Path | None = None, first_call: str = ""
) -> Iterator[Trial]:
    """Starts a bot; domain, app id and app secret are appended to the command. A failure shows what it printed.

    first_call: path of a call before which the library loses events that reach it.
    """
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [*command, box.url, box.app_id, box.app_secret],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            box.wait_for(
                lambda: box.connections() or process.poll() is not None, "a connection", SLOW_START_SECONDS
            )
            assert process.poll() is None, "the bot ended"
            if first_call:
                box.wait_for_request(path=first_call)
            yield Trial(box)
        except (AssertionError, TimeoutError) as error:
            output.seek(0)
            printed = output.read().decode(errors="replace")
            error.add_note(SECRET_PATTERN.sub("...", printed)[-4000:])
            error.add_note(str([one for one in box.requests() if one["code"]][-3:]))
            raise
        finally:
            process.kill()
            process.wait()
