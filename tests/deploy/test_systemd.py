"""The unit for systemd: hardened, and in step with the program. No service manager runs here."""

import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.deployment_files import (
    DEPLOY,
    STOP_SECONDS,
    check,
    find_unknown_variables,
    read,
    read_environment_file,
)
from support.requirements import skip_or_fail

UNIT = "systemd/notifier.service"
ENVIRONMENT = "systemd/notifier.env.example"
MOST_EXPOSURE = 1.5
"""Of ten; systemd calls 1.2 OK."""
REQUIRED = {
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "LockPersonality": "yes",
    "MemoryDenyWriteExecute": "yes",
    "NoNewPrivileges": "yes",
    "PrivateDevices": "yes",
    "PrivateTmp": "yes",
    "PrivateUsers": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHome": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectSystem": "strict",
    "Restart": "always",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "StateDirectory": "notifier",
    "StateDirectoryMode": "0700",
    "SystemCallArchitectures": "native",
    "UMask": "0077",
    "User": "notifier",
    "WorkingDirectory": "%S/notifier",
}

Sections = Mapping[str, Mapping[str, list[str]]]


def read_unit(text: str) -> Sections:
    """The sections of a unit, each with all values of a key."""
    sections: dict[str, dict[str, list[str]]] = {}
    for line in filter(None, text.splitlines()):
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), defaultdict(list))
        elif not line.startswith("#"):
            key, equals, value = line.partition("=")
            assert equals, f"no setting: {line}"
            section[key].append(value)
    return sections


def find_faults(unit: Sections) -> list[str]:
    """What is wrong with the unit, by our rules."""
    service = unit["Service"]
    faults = [key for key, value in REQUIRED.items() if service.get(key) != [value]]
    if not STOP_SECONDS < int(service["TimeoutStopSec"][0]) <= 60:
        faults.append("TimeoutStopSec")
    if "@system-service" not in service["SystemCallFilter"]:
        faults.append("SystemCallFilter")
    if not {"StartLimitIntervalSec", "StartLimitBurst"} <= set(unit["Unit"]):
        faults.append("StartLimit")
    if any(re.search("SECRET|PASSWORD", value) for value in service["Environment"]):
        faults.append("a secret stands in the unit")
    return faults


def test_the_unit_follows_the_rules() -> None:
    assert [] == find_faults(read_unit(read(UNIT)))


@pytest.mark.parametrize(
    "old, new, fault",
    [
        *((f"{key}={value}\n", f"{key}=no\n", key) for key, value in REQUIRED.items()),
        ("ProtectSystem=strict\n", "", "ProtectSystem"),
        ("TimeoutStopSec=30", "TimeoutStopSec=5", "TimeoutStopSec"),
        ("SystemCallFilter=@system-service\n", "", "SystemCallFilter"),
        ("StartLimitBurst=10\n", "", "StartLimit"),
        ("LANG=C.UTF-8", "FEISHU_APP_SECRET=x", "a secret stands in the unit"),
    ],
)
def test_each_rule_finds_its_fault(old: str, new: str, fault: str) -> None:
    text = read(UNIT)
    assert old in text

    assert fault in find_faults(read_unit(text.replace(old, new)))


def _analyze(*words: str) -> subprocess.CompletedProcess[str]:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        skip_or_fail("systemd", "there is no systemd-analyze")
    return subprocess.run([analyze, *words], capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def startable(tmp_path: Path) -> Path:
    """The unit with a program that this machine has, because systemd looks for it."""
    file = tmp_path / "notifier.service"
    file.write_text(
        read(UNIT).replace("/opt/notifier/bin/notifier", shutil.which("true") or ""), encoding="utf-8"
    )
    return file


def test_systemd_understands_every_line(startable: Path) -> None:
    verified = _analyze("verify", "--man=no", str(startable))
    startable.write_text(
        startable.read_text(encoding="utf-8").replace("PrivateTmp=", "PrivateTemp="), encoding="utf-8"
    )
    broken = _analyze("verify", "--man=no", str(startable))

    assert "notifier.service" not in verified.stderr
    assert "PrivateTemp" in broken.stderr


def test_systemd_calls_the_exposure_low(startable: Path) -> None:
    judge = ("security", "--offline=true", "--no-pager", f"--threshold={round(10 * MOST_EXPOSURE)}")
    judged = _analyze(*judge, str(startable))
    open_unit = startable.with_name("open.service")
    open_unit.write_text("[Service]\nExecStart=/bin/true\n", encoding="utf-8")
    exposed = _analyze(*judge, str(open_unit))

    assert 0 == judged.returncode, judged.stdout[-300:]
    assert 0 != exposed.returncode


def test_the_environment_file_has_settings_and_no_values() -> None:
    values = read_environment_file(read(ENVIRONMENT))

    assert {"FEISHU_APP_ID", "FEISHU_APP_SECRET", "PGPASSWORD", "NOTIFIER_PAYOUTS__SECRET"} <= set(values)
    assert set() == find_unknown_variables(values)
    assert {name for name, value in values.items() if value} == {
        *("FEISHU_APP_ID", "FEISHU_APP_SECRET"),
        "NOTIFIER_HEALTH__LISTEN",
    }


def test_the_notifier_refuses_to_start_with_the_values_of_the_example() -> None:
    values = read_environment_file(read(ENVIRONMENT))

    refused = check("compose.config.yaml", values, command="run")

    assert 2 == refused.exit_code
    assert "FEISHU_APP_SECRET): feishu.app_secret: holds ${FEISHU_APP_SECRET}" in refused.output


@pytest.mark.parametrize(
    "page", ["operations.md", "operations.zh-CN.md", "deploying.md", "deploying.zh-CN.md"]
)
def test_the_pages_link_to_the_unit(page: str) -> None:
    text = (DEPLOY.parent / "docs" / page).read_text(encoding="utf-8")

    assert "](../deploy/systemd/notifier.service)" in text
