"""The notifier in the surroundings of its image: what it may write, who it is, how it starts and stops."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from notifier.sandbox.testing import FeishuBox
from support.container import STOP_SECONDS, UID, Container, container
from support.wheel import install_wheel

LIN, LIN_ACCOUNT = "ou_sandbox_lin", "7000000000000000001"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def inside(feishu_box: FeishuBox, tmp_path: Path, installed: Path) -> Iterator[Container]:
    with container(feishu_box, tmp_path, installed) as made:
        yield made


def test_an_event_becomes_a_card_and_a_stop_is_clean(inside: Container) -> None:
    inside.start()

    inside.box.change_balance(LIN_ACCOUNT, points=10)

    inside.box.wait_for(lambda: inside.box.messages(LIN), "a card for Lin", timeout=30)
    with urllib.request.urlopen(f"http://127.0.0.1:{inside.port}/livez", timeout=10) as answer:
        assert {"alive": True} == json.load(answer)
    with urllib.request.urlopen(f"http://127.0.0.1:{inside.port}/metrics", timeout=10) as answer:
        assert b"# TYPE " in answer.read()
    assert STOP_SECONDS > inside.stop()
    assert "notifier.stopped" in inside.log
    assert "Traceback" not in inside.log


def test_it_is_process_1_without_privileges(inside: Container) -> None:
    inside.start()

    status = inside.status()

    assert "1" == status["NSpid"].split()[-1]
    assert {str(UID)} == set(status["Uid"].split()) == set(status["Gid"].split())
    assert "" == status["Groups"]
    assert ["0" * 16] * 2 == [status["CapEff"], status["CapBnd"]]
    assert "1" == status["NoNewPrivs"]
    inside.stop()


def test_it_writes_to_the_data_directory_and_to_tmp_alone(inside: Container) -> None:
    inside.start()
    writable = (
        "for place in / /srv /srv/notifier /srv/notifier/data /opt/notifier/site /tmp /usr /etc /root /dev; do"
        ' if touch "$place/new" 2>/dev/null; then rm "$place/new"; echo "$place"; fi; done'
    )

    found = inside.execute("/bin/sh", "-c", writable)

    assert ["/srv/notifier/data", "/tmp"] == found.stdout.split()  # noqa: S108 - of the container
    files = {path.name: path.stat() for path in inside.data.iterdir()}
    assert "notifier.db" in files
    assert {(UID, 0o600)} == {(status.st_uid, status.st_mode & 0o777) for status in files.values()}
    inside.stop()


def test_the_health_check_of_the_image_follows_the_service(inside: Container) -> None:
    words = inside.image.find("HEALTHCHECK").as_words()
    assert words is not None
    assert "notifier" == words[0]
    inside.start()

    healthy = inside.run_notifier(*words[1:])
    inside.environment["NOTIFIER_HEALTH__LISTEN"] = "127.0.0.1:1"  # where nothing listens
    unhealthy = inside.run_notifier(*words[1:])

    assert (0, "") == (healthy.returncode, healthy.stderr)
    assert 1 == unhealthy.returncode
    inside.stop()


def test_operators_run_commands_inside_without_options(inside: Container) -> None:
    inside.start()
    inside.box.change_balance(LIN_ACCOUNT, points=10)
    inside.box.wait_for(lambda: inside.box.messages(LIN), "a card for Lin", timeout=30)

    status = inside.run_notifier("status", "--json")
    checked = inside.run_notifier("check")

    assert 0 == status.returncode, status.stderr
    assert json.loads(status.stdout)
    assert 0 == checked.returncode, checked.stdout
    assert "template balance_change.json.j2 (shipped)" in checked.stdout
    inside.stop()


def test_a_stop_during_the_start_ends_it(inside: Container) -> None:
    inside.start(connected=False)
    inside.wait_until_stop_is_handled()

    assert STOP_SECONDS > inside.stop()


def test_a_data_directory_that_cannot_be_written_stops_the_start(inside: Container) -> None:
    inside.start(writable_data=False, connected=False)

    assert 2 == inside.process.wait(60), inside.log
    assert "Traceback" not in inside.log
    assert "data" in inside.log


def test_it_starts_without_home_locale_and_zone(tmp_path: Path, installed: Path) -> None:
    """The part that needs no privileges: an environment as empty as that of an image."""
    packages = [path for path in sys.path if path.endswith("site-packages")]
    environment = {
        "LC_ALL": "C",
        "PYTHONPATH": ":".join([str(installed), *packages]),
        "FEISHU_APP_ID": "a",
        "FEISHU_APP_SECRET": "s",
    }
    checked = subprocess.run(
        [sys.executable, "-m", "notifier", "check"],
        capture_output=True,
        cwd=tmp_path,
        env=environment,
        check=False,
        timeout=60,
    )

    assert 0 == checked.returncode, checked.stdout
    assert b"" == checked.stderr
    assert [] == list(tmp_path.iterdir())
