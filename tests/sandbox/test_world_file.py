"""The world as a file: the example of the documentation, what is refused, and an export that gives the same world."""

import urllib.request
from pathlib import Path

import pytest

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from notifier.sandbox.world.world import BadWorldError
from notifier.sandbox.world.world_file import read_world_file
from sandbox.clients import api, call, send

EXAMPLE = Path(__file__).parents[2] / "docs" / "world.example.yaml"
TENANT = "tenants:\n  - key: t\n"
APP = "    apps: [{app_id: cli_aaaaaaaaaaaaaaaa}]\n"
OF_THIS_RUN = ("revision", "now_ms", "feishu_url", "requests", "refusals", "ahead_seconds", "events")


def states(box: FeishuBox, *app_ids: str) -> list[dict[str, object]]:
    """What a reader of the page sees of each app, without what differs by run."""
    return [
        {name: value for name, value in box.for_app(app_id).state().items() if name not in OF_THIS_RUN}
        for app_id in app_ids
    ]


def export(box: FeishuBox) -> str:
    with urllib.request.urlopen(f"{box.url}/api/world.yaml", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def test_the_example_of_the_documentation_is_the_world_of_the_sandbox() -> None:
    with FeishuBox(SandboxSettings(world_file=str(EXAMPLE))) as box:
        assert ("cli_aaaaaaaaaaaaaaaa", "secret-of-the-sample-app") == (box.app_id, box.app_secret)
        second, third = box.for_app("cli_bbbbbbbbbbbbbbbb"), box.for_app("cli_cccccccccccccccc")
        assert 0 == send(box, "hello", to="ou_sandbox_mei").code
        assert 0 == send(box, "hello", to="oc_sample_team").code
        assert 230053 == send(box, "hello", to="ou_sandbox_bo").code
        assert 230029 == send(box, "hello", to="ou_sandbox_left").code
        assert 99991672 == api(second, "GET", "/im/v1/chats").code, "it has one scope"
        assert 230002 == send(second, "hello", to="oc_sample_team").code, "its bot is not in the group"
        assert ["梅四（示例）"] == [one["name"] for one in third.state()["people"]]
        assert {"Sample bot", "Second bot"} == {
            api(app, "GET", "/bot/v3/info").content["bot"]["app_name"] for app in (box, second)
        }
        (account,) = box.accounts()
        assert [{"currency": "CNY", "amount": "350.50"}] == account["cash"]


def test_an_export_gives_the_same_world(tmp_path: Path) -> None:
    apps = ("cli_aaaaaaaaaaaaaaaa", "cli_bbbbbbbbbbbbbbbb", "cli_cccccccccccccccc")
    exported = tmp_path / "exported.yaml"
    with FeishuBox(SandboxSettings(world_file=str(EXAMPLE))) as box:
        box.rename("ou_sandbox_mei", name="新名", en_name="New name")
        box.set_group("oc_sample_team", muted=True)
        box.change_balance(box.accounts()[0]["account_id"], points=7, cash={"JPY": "+1.00"})
        box.change_console(bot=False)
        box.for_app(apps[1]).set_person(box.for_app(apps[1]).add_people(["neu"])[0], status="blocked")
        exported.write_text(export(box))
        before, text = states(box, *apps), export(box)
    with FeishuBox(SandboxSettings(world_file=str(exported))) as box:
        assert before == states(box, *apps)
        assert text == export(box)
    with FeishuBox() as box:
        put = call(box, "PUT", "/api/world", exported.read_bytes(), **{"Content-Type": "application/yaml"})
        assert 200 == put.status, put.text
        assert before == states(box, *apps)
        assert put.content == call(box, "GET", "/api/world").content
        assert 200 == call(box, "PUT", "/api/world", put.content).status


def test_the_sample_world_can_be_exported_without_its_secret() -> None:
    with FeishuBox() as box:
        text = export(box)
        assert box.app_secret not in text
        before = states(box, box.app_id)
        put = call(box, "PUT", "/api/world", text.encode(), **{"Content-Type": "application/yaml"})
        assert 200 == put.status, put.text
        assert before == states(box, box.app_id)


@pytest.mark.parametrize(
    "text, sentences",
    [
        ("", ["line 1: the world: it must be keys with values, not None."]),
        ("tenants: []", ["line 1: tenants: tenants must be at least one entry"]),
        (
            "tenant: 1\n",
            [
                "line 1: tenants: 'tenants' is required.",
                "line 1: tenant: there is no key 'tenant' here; allowed: tenants.",
            ],
        ),
        (
            TENANT + "    people:\n      - {id: lin, name: Lin}\n      - {id: chen, nam: Chen}\n" + APP,
            [
                "line 5: tenants[0].people[1].name: 'name' is required.",
                (
                    "line 5: tenants[0].people[1].nam: there is no key 'nam' here; allowed: id, name, en_name, email, "
                    "mobile, user_id, departments, is_resigned, resigned_code."
                ),
            ],
        ),
        (
            TENANT + "    apps:\n      - app_id: cli_1\n        statuses: {lin: gone}\n",
            [
                (
                    "line 4: tenants[0].apps[0].app_id: app_id must be cli_ and 16 hex digits, such as "
                    "cli_5a4db0c05a4db0c0, not 'cli_1'."
                ),
                (
                    "line 5: tenants[0].apps[0].statuses.lin: lin must be 'active', 'bot_stopped', 'out_of_range' or "
                    "'blocked', not 'gone'."
                ),
            ],
        ),
        (
            TENANT + "    groups: [{chat_id: oc_x, name: X, members: [lin]}]\n" + APP,
            ["line 3: tenants[0].groups[0].members: there is no 'lin' in this tenant; allowed: nothing."],
        ),
        (
            TENANT
            + "    departments:\n      - {id: a, name: A, parent: b}\n      - {id: b, name: B, parent: a}\n"
            + APP,
            [
                "line 4: tenants[0].departments[0].parent: the department 'a' contains itself.",
                "line 5: tenants[0].departments[1].parent: the department 'b' contains itself.",
            ],
        ),
        (
            TENANT + "    people: [{id: lin, name: Lin}, {id: lin, name: Lin}]\n" + APP,
            ["line 3: tenants[0].people[1].id: 'lin' is there twice; each must be there once."],
        ),
        (
            TENANT + "    apps: [{app_id: cli_aaaaaaaaaaaaaaaa, console: {scope: []}}]\n",
            ["line 3: tenants[0].apps[0].console: there is no setting 'scope'; allowed: scopes, bot,"],
        ),
        (TENANT + "    key: u\n" + APP, ["line 3: this is not YAML: found duplicate key"]),
        ("tenants: [", ["line 1: this is not YAML: "]),
    ],
)
def test_each_wrong_line_gives_one_sentence(tmp_path: Path, text: str, sentences: list[str]) -> None:
    path = tmp_path / "world.yaml"
    path.write_text(text)
    with pytest.raises(BadWorldError) as refused:
        read_world_file(path)

    lines = str(refused.value).splitlines()
    assert len(sentences) == len(lines), lines
    for sentence, line in zip(sentences, lines, strict=True):
        assert f"{path}, {sentence}" in line


def test_a_wrong_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(BadWorldError, match=r"missing\.yaml: the file cannot be read"):
        FeishuBox(SandboxSettings(world_file=str(tmp_path / "missing.yaml"))).start()
