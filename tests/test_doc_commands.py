"""Every command that the pages show exists, and runs against a sandbox unless it is an exception with a reason."""

import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from notifier.cli.main import cli
from notifier.sandbox.command_line.command import build_parser
from notifier.sandbox.testing import FeishuBox
from notifier.store.deliveries import delivery_admin
from notifier.store.schema.tables import snapshots, withdrawals
from support.cards import press_button
from support.doc_commands import (
    PAGES,
    READMES,
    ROOT,
    ShownCommand,
    find_fault,
    find_usage_error,
    list_block_commands,
    list_commented_commands,
    list_inline_commands,
)
from support.running import RunningNotifier, running_notifier
from support.waiting import wait_until

PAGE_IDS = [page.name for page in PAGES]
READERS_FILE = "changes a file that only the reader has"

NOT_RUN: dict[str, str] = {
    "notifier run": "runs until it is stopped; the notifier of these tests is this command",
    "notifier status --watch": "runs until Ctrl-C; tests/test_status_watch.py runs it",
    "notifier init": "asks questions; tests/test_init.py answers them",
    "notifier preview": "serves a page until Ctrl-C; tests/operations/preview opens it",
    "notifier preview --templates my-templates": "as above",
    "notifier replay event:12 --open": "as above",
    "notifier preview withdrawal.json.j2 --sample paid": "as above",
    "notifier sandbox --templates my-templates": "runs until Ctrl-C; tests/stories/test_sandbox_templates.py runs it",
    "notifier trigger message --from lin --text ping": "needs a running sandbox; tests/test_cli_trigger.py has one",
    ".venv/bin/notifier sandbox": "runs until Ctrl-C; tests/stories/test_planted_errors.py runs it",
}
"""Commands of the program that the blocks show and this file does not run, each with its reason."""

OTHER_PROGRAMS: dict[str, str] = {
    "make": "a target takes minutes; that it exists is tested here, tests/test_makefile.py runs some",
    "python3": "creates an environment, which takes a minute; CI does it",
    ".venv/bin/python": "installs packages from the network; CI does it",
    ".venv/bin/pytest": "runs all tests",
    "pip": "builds a wheel, which takes a minute; tests/release does it",
    "mkdir": "writes to the home folder of the reader",
    "sudo": "installs a service of systemd; tests/deploy checks the unit",
    "journalctl": "needs the service of systemd",
    "docker": "needs Docker; tests/deploy checks the files",
    "cp": READERS_FILE,
    "chmod": READERS_FILE,
    "sed": READERS_FILE,
    "feishu-sandbox": "runs until it is stopped; tests/sandbox/test_feishu_sandbox.py runs it",
    "curl": "its requests are sent by a test of this file",
}
"""Programs of the blocks beside the command, each with the reason why it is not run."""

MORE = """\
withdrawals: {offer_to: [referrer, hr]}
routes: [{name: everybody, to: [referrer, hr]}]
"""
ASKING = {("try", "reward"), ("accounts", "disable")}
"""Commands that ask for a yes. A test has no terminal."""
LIN, ZHOU = "ou_sandbox_lin", "ou_sandbox_zhou"
LIN_ACCOUNT, ZHOU_ACCOUNT = "7000000000000000001", "7000000000000000004"
GROUPS = ("oc_sandbox_hr", "oc_sandbox_fallback")


def list_all(*, inline: bool) -> list[ShownCommand]:
    """The commands of all pages, in the order of the pages."""
    listing = list_inline_commands if inline else list_block_commands
    return [each for page in PAGES for each in listing(page)]


# what is written


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_the_commands_of_a_page_exist_with_their_options(page: Path) -> None:
    shown = [*list_block_commands(page), *list_inline_commands(page), *list_commented_commands(page)]

    assert [] == [
        (each.text, fault)
        for each in shown
        if each.arguments is not None and (fault := find_fault(each.arguments))
    ]


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_the_commands_of_blocks_are_complete(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("people.csv", "secret.txt"):
        Path(name).touch()
    for name in ("my-templates",):
        Path(name).mkdir()

    assert [] == [
        (each.text, error)
        for each in list_block_commands(page)
        if each.arguments is not None and (error := find_usage_error(each.arguments))
    ]


@pytest.mark.parametrize(
    "line, fault",
    [
        ("status --json", None),
        ("--version", None),
        ("accounts", None),
        ("payouts mark", None),
        ("statusses", "no command 'statusses'"),
        ("deliveries lost", "no command 'lost'"),
        ("status --jason", "no option --jason"),
        ("--jason", "no option --jason"),
        ("deliveries list --state nowhere", "--state cannot be nowhere"),
        ("deliveries list --state=nowhere", "--state cannot be nowhere"),
    ],
)
def test_the_check_of_commands_finds_faults(line: str, fault: str | None) -> None:
    assert fault == find_fault(tuple(line.split()))


def test_the_options_of_feishu_sandbox_exist() -> None:
    shown = [each.words[1:] for each in list_all(inline=False) if each.words[0] == "feishu-sandbox"]
    for page in PAGES:
        inline = re.findall(r"`feishu-sandbox ([^`]+)`", page.read_text(encoding="utf-8"))
        shown += [tuple(words.split()) for words in inline]

    assert shown
    for words in shown:
        build_parser().parse_args(words)


def test_the_commands_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Type `notifier digest list|send` or `notifier\nstatus`.\n"
        "   ```sh\n   notifier check   # a `comment`\n   sudo useradd notifier && make x\n"
        "   docker exec notifier notifier \\\n     audit > file\n   ```\n"
        "```console\n$ notifier events list > x  # also: show ID, drop ID, for all\n```\n"
        "```yaml\nnotifier nothing\n```\n"
    )

    assert [
        ("notifier check", ("check",)),
        ("sudo useradd notifier", None),
        ("make x", None),
        ("docker exec notifier notifier audit", ("audit",)),
        ("notifier events list", ("events", "list")),
    ] == [(each.text, each.arguments) for each in list_block_commands(page)]
    assert [("events", "show", "ID"), ("events", "drop", "ID")] == [
        each.arguments for each in list_commented_commands(page)
    ]
    assert [("digest", "list"), ("digest", "send"), ("status",)] == [
        each.arguments for each in list_inline_commands(page)
    ]


def test_all_blocks_of_commands_are_marked_as_such() -> None:
    """A block without a language would not be tested."""
    for page in PAGES:
        fences = re.findall(r"^ *```(\S*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert all(fences[::2]), page.name


def test_the_targets_of_make_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {each.words[1] for each in list_all(inline=False) if each.words[0] == "make"}
    for page in PAGES:
        targets |= set(re.findall(r"`make ([a-z]+)", page.read_text(encoding="utf-8")))

    assert {"sandbox", "test", "check"} <= targets
    assert set() == targets - set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))


def test_both_languages_show_the_same_commands() -> None:
    for english in (page for page in PAGES if page.with_suffix(".zh-CN.md").exists()):
        chinese = english.with_suffix(".zh-CN.md")
        shown = [[each.words[:3] for each in list_block_commands(page)] for page in (english, chinese)]
        assert shown[0] == shown[1], english.name


def test_the_readme_shows_the_commands_of_the_first_run() -> None:
    shown = {(each.arguments or ("",))[0] for each in list_block_commands(ROOT / READMES[0])}

    assert {"init", "doctor", "accounts", "run", "try", "completion", "status", "sandbox"} <= shown


def test_no_exception_is_stale() -> None:
    shown = list_all(inline=False)

    assert set() == set(NOT_RUN) - {each.text for each in shown}
    assert set(OTHER_PROGRAMS) == {
        each.words[0] for each in shown if each.words[0].split("/")[-1] != "notifier"
    }


# what runs


@dataclass(frozen=True, slots=True)
class Scene:
    """A notifier that has sent cards. values: replacements for the placeholders of the pages, by placeholder."""

    notifier: RunningNotifier
    values: dict[str, str]

    def run(self, *words: str) -> Result:
        """A command in the folder of the notifier."""
        hidden = {
            name: None for name in os.environ if name.startswith(("NOTIFIER_", "FEISHU_", "LARK_", "APP_"))
        }
        environment = {**hidden, "LC_ALL": "C.UTF-8", "NO_PROXY": "127.0.0.1,localhost"}
        return CliRunner().invoke(cli, list(words), env=environment)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("documented")
    (folder / "data").mkdir()
    with pytest.MonkeyPatch.context() as patch, FeishuBox() as box:
        patch.chdir(folder)
        store_url = f"sqlite:///{folder}/data/notifier.db"
        with running_notifier(box, folder, more=MORE, store_url=store_url) as notifier:
            text = notifier.config.read_text(encoding="utf-8")
            notifier.stop()
            notifier.config.write_text(
                text.replace("feishu:\n", "feishu:\n  environment: test\n", 1), encoding="utf-8"
            )
            notifier.config.chmod(0o600)
            notifier.start()
            yield Scene(notifier, make_values(notifier))


def make_values(notifier: RunningNotifier) -> dict[str, str]:
    """Creates a dead delivery, a payout, a reward and the files of the pages. Returns the replacements."""
    box = notifier.box
    box.change_balance(LIN_ACCOUNT, cash={"CNY": "+500.00"})
    notifier.wait_until_settled()
    assert 0 == press_button(box, LIN, LIN)["code"]
    box.wait_for(box.withdrawals, "the withdrawal")
    notifier.wait_until_settled()
    box.set_person(ZHOU, status="resigned")
    for group in GROUPS:
        box.set_group(group, has_bot=False)
    box.change_balance(ZHOU_ACCOUNT, points=5)
    with notifier.open_database() as database:

        def list_dead() -> list[int]:
            with database.read() as connection:
                return delivery_admin.list_dead_ids(connection)

        dead = wait_until(list_dead, "a dead delivery", seconds=60)
        with database.read() as connection:
            order_id = connection.execute(sa.select(withdrawals.c.order_id)).scalar_one()
            event_id = connection.execute(sa.select(sa.func.min(snapshots.c.inbox_id))).scalar_one()
    for group in GROUPS:
        box.set_group(group, has_bot=True)
    box.set_person(ZHOU, status="active")
    kept = notifier.command(
        *("try", "reward", "--account", LIN_ACCOUNT, "--talent", "7", "--points", "1", "--keep", "--yes")
    )
    assert 0 == kept.returncode, kept.stdout + kept.stderr

    (people,) = re.findall(
        r"^ *```text\n( *email,.*?)^ *```", (ROOT / "docs/accounts.md").read_text(), re.DOTALL | re.MULTILINE
    )
    (notifier.folder / "people.csv").write_text(re.sub(r"^ +", "", people, flags=re.MULTILINE))
    make_cards(notifier.folder)
    other_folder = notifier.folder.with_name("new")  # no secret may stand beside the notifier's files
    other_folder.mkdir()
    (other_folder / "secret.txt").write_text(box.app_secret)
    today = datetime.now(UTC)
    return {
        "17": str(dead[-1]),
        "delivery:17": f"delivery:{dead[-1]}",
        "event:12": f"event:{event_id}",
        "me@example.com": LIN,
        "71": kept.stdout.rsplit("delete-reward ", 1)[1].split("`")[0],
        "ORDER": order_id,
        "2026-11-01": f"{today - timedelta(days=2):%Y-%m-%d}",
        "2026-12-01": f"{today + timedelta(days=2):%Y-%m-%d}",
        "/etc/notifier/config.yaml": "config.yaml",
        "cli_...": box.app_id,
        "secret.txt": str(other_folder / "secret.txt"),
        "config.yaml": str(other_folder / "config.yaml"),
        "URL": notifier.database_url,
        "postgresql+psycopg://notifier@host/notifier": "sqlite:///second.db",
    }


def make_cards(folder: Path) -> None:
    """Creates the files that `notifier lint` gets."""
    card = {"schema": "2.0", "body": {"elements": [{"tag": "hr"}]}}
    (folder / "card.json").write_text(json.dumps(card))
    (folder / "message.json").write_text(json.dumps({"msg_type": "interactive", "card": card}))
    (folder / "my-templates").mkdir()
    shutil.copy(ROOT / "templates" / "_parts.j2", folder / "my-templates")


def list_runnable() -> list[tuple[str, ...]]:
    """The arguments of each command of the blocks that is no exception, once.

    `notifier copy` comes last, because it needs a notifier that is stopped.
    """
    arguments = [each.arguments for each in list_all(inline=False) if each.text not in NOT_RUN]
    unique = dict.fromkeys(each for each in arguments if each is not None)
    return sorted(unique, key=lambda words: words[0] == "copy")


def complete(words: tuple[str, ...], values: dict[str, str], box: FeishuBox) -> list[str]:
    """The command with the values of the scene."""
    typed = [values.get(word, word) for word in words]
    if words[0] == "init":
        return [*typed, "--base-url", box.url, "--config", values["config.yaml"]]
    if words[:2] in ASKING or {"--send", "--send-to"} & set(words):
        return [*typed, "--yes"]
    if words[:2] == ("copy", "--from") and words[-1] == "URL":
        return [*typed[:-1], "sqlite:///first.db"]
    return typed


@pytest.mark.timeout(120)
def test_every_command_of_the_blocks_runs(scene: Scene) -> None:
    failed = []
    for words in list_runnable():
        if words[0] == "copy":
            scene.notifier.stop()
        typed = complete(words, scene.values, scene.notifier.box)
        ran = scene.run(*typed)
        if ran.exit_code:
            failed.append((" ".join(typed), ran.exit_code, ran.output, repr(ran.exception)))

    assert [] == failed
    assert {"accounts", "copy", "payouts", "try", "init"} <= {words[0] for words in list_runnable()}


def send(box: FeishuBox, path: str, body: str) -> Any:
    request = urllib.request.Request(
        box.url + path, data=body.encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_requests_of_curl_are_accepted(feishu_box: FeishuBox, tmp_path: Path) -> None:
    requests = [each for each in list_all(inline=False) if each.words[0] == "curl"]
    (tmp_path / "picture.png").write_bytes(b"\x89PNG, and nothing else")
    values = {"http://127.0.0.1:8765": feishu_box.url, "wait=10": "wait=0"}
    answers = []
    for each in requests:
        words = list(each.words[1:])
        for shown, value in values.items():
            words = [word.replace(shown, value) for word in words]
        ended = subprocess.run(
            ["curl", "--silent", "--show-error", "--noproxy", "*", *words],
            capture_output=True,
            cwd=tmp_path,
            check=True,
            timeout=20,
        )
        answers.append(json.loads(ended.stdout))
        values["TOKEN"] = answers[-1].get("tenant_access_token", "TOKEN")
    messages, change, _, upload = answers

    assert {"messages": []} == messages
    assert 1 == len(feishu_box.events()), change
    assert (0, True) == (upload["code"], upload["data"]["image_key"].startswith("img_v3_"))


def list_json_examples(text: str) -> list[tuple[str, str]]:
    """Path and body of each `POST PATH` with `{...}` in sentences, and of each call fault."""
    found = re.findall(r"`POST (/api/[a-z/-]+)` with\s+`(\{\".*?\})`", text, re.DOTALL)
    others = re.findall(r"`(\{\"match\".*?\})`", text, re.DOTALL)
    known = {body for _, body in found}
    return found + [("/api/call-faults", body) for body in others if body not in known]


def test_the_examples_of_the_sandbox_api_are_accepted(feishu_box: FeishuBox) -> None:
    examples = list_json_examples((ROOT / "docs/sandbox.md").read_text(encoding="utf-8"))

    for path, body in examples:
        send(feishu_box, path, body)
    paths = [path.removeprefix("/api") for path, _ in examples]
    assert ["/faults", "/call-faults", "/other-connections", "/call-faults"] == paths
    assert ["429"] == [one["fault_type"] for one in feishu_box.running_faults()]
