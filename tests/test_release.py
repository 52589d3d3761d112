"""`make release` and `make audit`: each check refuses what it must, and the repository can be released."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from release import audit, distributions, installation, main, sbom, source
from release.source import ReleaseError
from support.running import clean_environment

ROOT = Path(__file__).parents[1]
VERSION = source.read_version(ROOT)
SECTION = f"# Changelog\n\n## [{VERSION}] - 2026-01-31\n\n### Added\n\n- A card.\n\n## [0.0.1] - 2025-01-31\n\n- Old.\n"


# the version


def test_the_version_stands_in_one_place() -> None:
    """OLDEST_PROGRAM is another fact: it changes only with a migration. Images have tags; see the next test."""
    number = re.compile(rf"(?<![\d.]){re.escape(VERSION)}(?![\d.])")
    elsewhere = ("docs/changelog.md", "requirements/", "tests/", "deploy/", "docs/deploying")
    found = [
        f"{name}: {line.strip()}"
        for name in sorted(source.list_files(ROOT))
        if not name.startswith(elsewhere) and not name.endswith((".png", ".json")) and (ROOT / name).exists()
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines()
        if number.search(line) and not line.startswith("OLDEST_PROGRAM = ")
    ]

    assert [f'{source.VERSION_FILE}: __version__ = "{VERSION}"'] == found


def test_what_names_an_image_or_a_wheel_names_this_version() -> None:
    named = re.compile(r"(?:notifier:|VERSION=|newTag: |referral_notifier-)v?(\d+\.\d+\.\d+)")
    found = {
        name: set(named.findall((ROOT / name).read_text(encoding="utf-8")))
        for name in source.list_files(ROOT)
        if name.startswith(("deploy/", "docs/deploying")) and not name.endswith((".png", ".json"))
    }
    found = {name: versions for name, versions in found.items() if versions}

    assert {
        *("deploy/compose.yaml", "deploy/docker/Dockerfile", "deploy/kubernetes/kustomization.yaml"),
        *("docs/deploying.md", "docs/deploying.zh-CN.md"),
    } == set(found)
    assert {VERSION} == set().union(*found.values())


@pytest.fixture
def changed_copy() -> Iterator[Path]:
    """A copy of the program with another version. It is deleted at once, because the sandbox's secrets are in it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "notifier", folder / "notifier", ignore=shutil.ignore_patterns("__pycache__"))
        for file in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / file, folder)
        place = folder / source.VERSION_FILE
        place.write_text(place.read_text(encoding="utf-8").replace(VERSION, "97.8.6"), encoding="utf-8")
        yield folder


@pytest.mark.parametrize(
    "words, expected",
    [
        (("-m", "hatchling", "version"), "97.8.6"),
        (("-m", "notifier", "--version"), "notifier, version 97.8.6"),
        (("-c", "import notifier; print(notifier.USER_AGENT)"), "referral-notifier/97.8.6"),
    ],
)
def test_the_build_the_command_and_the_calls_follow_that_place(
    changed_copy: Path, words: Sequence[str], expected: str
) -> None:
    ran = subprocess.run(
        [sys.executable, *words],
        cwd=changed_copy,
        env={**clean_environment(), "PYTHONPATH": str(changed_copy)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert expected == ran.stdout.strip()


@pytest.mark.parametrize("client", ["feishu", "payroll"])
def test_each_client_sends_the_version(client: str) -> None:
    from notifier import USER_AGENT  # noqa: PLC0415 - only this test needs the clients
    from notifier.clock import SystemClock  # noqa: PLC0415
    from notifier.feishu.api import AppAccess, FeishuApi  # noqa: PLC0415
    from notifier.payroll.client import PayrollAccess, PayrollClient  # noqa: PLC0415

    async def header() -> str:
        opened: Any = (
            FeishuApi(AppAccess(base_url="http://127.0.0.1:9", app_id="a", app_secret="s"), SystemClock())
            if client == "feishu"
            else PayrollClient(
                PayrollAccess(url="http://127.0.0.1:9", secret="s", timeout_seconds=1), SystemClock()
            )
        )
        async with opened as api:
            return api._session.headers["User-Agent"]

    assert USER_AGENT == asyncio.run(header())


# the changelog and the work tree


def test_the_changelog_has_a_section_for_the_version() -> None:
    source.check_changelog(SECTION, VERSION)
    source.check_changelog((ROOT / source.CHANGELOG).read_text(encoding="utf-8"), VERSION)


@pytest.mark.parametrize(
    "text, reason",
    [
        (SECTION.replace(f"[{VERSION}]", "[Unreleased]"), "no section"),
        (SECTION.replace(f"[{VERSION}]", f"[{VERSION}1]"), "no section"),
        (SECTION.replace(f"[{VERSION}]", f"[{VERSION.replace('.', 'x')}]"), "no section"),
        (SECTION.replace(" - 2026-01-31", ""), "no date"),
        (SECTION.replace(" - 2026-01-31", " - soon"), "no date"),
        (SECTION.replace("- A card.", ""), "lists no change"),
    ],
)
def test_a_changelog_without_a_finished_section_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ReleaseError, match=reason):
        source.check_changelog(text, VERSION)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit, and a dist/ of an earlier release."""
    root = tmp_path / "repository"
    files = {
        source.VERSION_FILE: f'__version__ = "{VERSION}"\n',
        source.CHANGELOG: SECTION,
        ".gitignore": "dist/\n",
        "dist/kept": "",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    for words in (("init", "-q"), ("add", "."), (*identity, "commit", "-qm", "first")):
        subprocess.run(["git", *words], cwd=root, check=True, timeout=60)
    return root


def test_the_tree_of_a_commit_is_accepted(repository: Path) -> None:
    source.check_work_tree(repository)

    assert {source.VERSION_FILE, source.CHANGELOG, ".gitignore"} == source.list_files(repository)
    assert 40 == len(source.read_commit(repository)[0])


@pytest.mark.parametrize(
    "name, text, reason",
    [
        ("new.py", "", "new.py"),
        (source.VERSION_FILE, f'__version__ = "{VERSION}"\n\n', f"M {source.VERSION_FILE}"),
        (source.VERSION_FILE, '__version__ = "9.9.9"\n', "no section for 9.9.9"),
        (source.VERSION_FILE, "", "has no line"),
        (source.CHANGELOG, "# Changelog\n", f"no section for {VERSION}"),
    ],
)
def test_what_is_not_ready_is_not_released(
    repository: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, reason: str
) -> None:
    (repository / name).write_text(text, encoding="utf-8")

    assert 1 == main.main(repository)
    printed = capsys.readouterr().err
    assert printed.startswith("Not released. ")
    assert reason in printed
    assert ["kept"] == [path.name for path in (repository / "dist").iterdir()]


def test_a_file_that_is_not_committed_reaches_no_build(repository: Path, tmp_path: Path) -> None:
    (repository / "config.yaml").write_text("secret", encoding="utf-8")

    source.export_commit(repository, tmp_path / "export")

    assert not (tmp_path / "export" / "config.yaml").exists()
    assert (tmp_path / "export" / source.VERSION_FILE).exists()


def test_commands_of_a_release_see_no_settings_and_no_other_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTIFIER_STORE_URL", "FEISHU_APP_ID", "LARK_DOMAIN", "PYTHONPATH", "KEPT"):
        monkeypatch.setenv(name, "here")

    printed = source.run_command([sys.executable, "-c", "import os; print(*os.environ)"]).decode().split()

    assert {"KEPT"} == {"NOTIFIER_STORE_URL", "FEISHU_APP_ID", "LARK_DOMAIN", "PYTHONPATH", "KEPT"} & set(
        printed
    )


def test_a_command_that_fails_is_named_with_its_output() -> None:
    with pytest.raises(ReleaseError, match=r"failed with exit code 4:\nbecause"):
        source.run_command([sys.executable, "-c", "import sys; sys.stderr.write('because'); sys.exit(4)"])


# the distributions


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[distributions.Distributions]:
    """Two builds of the last commit."""
    builds = []
    for _ in range(2):
        folder = tmp_path_factory.mktemp("build")
        source.export_commit(ROOT, folder / "source")
        _, seconds = source.read_commit(ROOT)
        builds.append(distributions.build(folder / "source", folder / "dist", commit_seconds=seconds))
    return builds


def committed_version() -> str:
    """Of the last commit, whatever the work tree says."""
    text = subprocess.run(
        ["git", "show", f"HEAD:{source.VERSION_FILE}"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return text.split('__version__ = "', 1)[1].split('"', 1)[0]


def test_two_builds_of_the_commit_are_equal_and_complete(built: list[distributions.Distributions]) -> None:
    first, second = built
    committed = source.list_files(ROOT)

    assert first.wheel != second.wheel
    distributions.check_reproducible(first, second)
    distributions.check_wheel(first.wheel, committed, committed_version())
    distributions.check_sdist(first.sdist, committed, committed_version())


def test_builds_that_differ_are_refused(built: list[distributions.Distributions], tmp_path: Path) -> None:
    first, _ = built
    other = tmp_path / first.wheel.name
    other.write_bytes(first.wheel.read_bytes() + b"\0")

    with pytest.raises(ReleaseError, match="differ"):
        distributions.check_reproducible(first, distributions.Distributions(wheel=other, sdist=first.sdist))


Change = Callable[[dict[str, bytes]], object]
INFO = f"{distributions.NAME}-{VERSION}.dist-info"


def pack_wheel(path: Path, contents: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def pack_sdist(path: Path, contents: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"{distributions.NAME}-{VERSION}/{name}")
            member.size = len(content)
            archive.addfile(member, BytesIO(content))
    return path


COMMITTED = {
    "LICENSE",
    "README.md",
    "config.example.yaml",
    "docs/index.md",
    "notifier/__init__.py",
    "notifier/py.typed",
    "notifier/sandbox/page/app.js",
    "notifier/sandbox/page/index.html",
    "notifier/sandbox/page/style.css",
    "notifier/sandbox/page/vchart/LICENSE",
    "notifier/sandbox/page/vchart/vchart.min.js",
    "notifier/store/schema/migrations/env.py",
    "notifier/store/schema/migrations/versions/0001_initial.py",
    "pyproject.toml",
    "templates/card.json.j2",
    "tests/test_layout.py",
}
WHEEL = {
    **{name: b"" for name in COMMITTED if name.startswith("notifier/")},
    "notifier/templates/card.json.j2": b"",
    "notifier/config.example.yaml": b"",
    **{
        f"{INFO}/{name}": b""
        for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    },
}
SDIST = {name: b"" for name in COMMITTED | {"PKG-INFO"} if not name.startswith("tests/")}


def remove(*names: str) -> Change:
    return lambda contents: [contents.pop(name) for name in names]


def add(name: str, content: bytes = b"") -> Change:
    return lambda contents: contents.update({name: content})


IN_BOTH: list[tuple[Change, str]] = [
    (remove("notifier/sandbox/page/index.html"), "lacks notifier/sandbox/page/index.html"),
    (remove("notifier/sandbox/page/vchart/LICENSE"), "lacks notifier/sandbox/page/vchart/LICENSE"),
    (remove("notifier/store/schema/migrations/versions/0001_initial.py"), "lacks .*0001_initial.py"),
    (remove("notifier/py.typed"), "lacks notifier/py.typed"),
    (add("tests/test_layout.py"), "must not be released: tests/test_layout.py"),
    (add("notifier/cards/test_render.py"), "must not be released"),
    (add("notifier/.env"), "must not be released: notifier/.env"),
    (add("notifier/config.yaml"), "must not be released: notifier/config.yaml"),
    (add("notifier/notifier.db"), "must not be released: notifier/notifier.db"),
    (add("notifier/more.py"), "not expected: notifier/more.py"),
    (
        add("notifier/__init__.py", b"-----BEGIN RSA " + b"PRIVATE KEY-----"),
        "secrets in notifier/__init__.py",
    ),
    (add("notifier/__init__.py", b"token = 't-g" + b"A1" * 18 + b"'"), "secrets in notifier/__init__.py"),
]


def test_a_wheel_and_an_sdist_with_exactly_these_files_are_accepted(tmp_path: Path) -> None:
    distributions.check_wheel(pack_wheel(tmp_path / "a.whl", WHEEL), COMMITTED, VERSION)
    distributions.check_sdist(pack_sdist(tmp_path / "a.tar.gz", SDIST), COMMITTED, VERSION)


@pytest.mark.parametrize(
    "change, reason",
    [
        *IN_BOTH,
        (remove("notifier/templates/card.json.j2"), "lacks notifier/templates/card.json.j2"),
        (remove("notifier/config.example.yaml"), "lacks notifier/config.example.yaml"),
        (remove(f"{INFO}/licenses/LICENSE"), "lacks .*LICENSE"),
    ],
)
def test_a_wheel_that_lacks_or_has_more_is_refused(tmp_path: Path, change: Change, reason: str) -> None:
    contents = dict(WHEEL)
    change(contents)

    with pytest.raises(ReleaseError, match=reason):
        distributions.check_wheel(pack_wheel(tmp_path / "a.whl", contents), COMMITTED, VERSION)


@pytest.mark.parametrize(
    "change, reason",
    [
        *IN_BOTH,
        (remove("templates/card.json.j2"), "lacks templates/card.json.j2"),
        (remove("LICENSE"), "lacks LICENSE"),
        (remove("docs/index.md"), "lacks docs/index.md"),
    ],
)
def test_an_sdist_that_lacks_or_has_more_is_refused(tmp_path: Path, change: Change, reason: str) -> None:
    contents = dict(SDIST)
    change(contents)

    with pytest.raises(ReleaseError, match=reason):
        distributions.check_sdist(pack_sdist(tmp_path / "a.tar.gz", contents), COMMITTED, VERSION)


def test_templates_that_are_missing_in_the_commit_too_are_missed(tmp_path: Path) -> None:
    contents = {name: content for name, content in WHEEL.items() if "templates" not in name}
    committed = {name for name in COMMITTED if "templates" not in name}

    with pytest.raises(ReleaseError, match=r"lacks notifier/templates/\*\.json\.j2"):
        distributions.check_wheel(pack_wheel(tmp_path / "a.whl", contents), committed, VERSION)


def test_sha256sum_accepts_the_checksums(tmp_path: Path) -> None:
    files = [tmp_path / "a.whl", tmp_path / "b.tar.gz"]
    for number, each in enumerate(files):
        each.write_bytes(bytes([number]))

    written = main.write_checksums(files, tmp_path / main.CHECKSUMS)

    verify = ["sha256sum", "--check", "--strict", written.name]
    assert 0 == subprocess.run(verify, cwd=tmp_path, capture_output=True, check=False).returncode
    files[1].write_bytes(b"changed")
    assert 1 == subprocess.run(verify, cwd=tmp_path, capture_output=True, check=False).returncode


# the installed command

SERVER = """
import http.server, signal, sys, threading

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html></html>" if {has_page} else b"")

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
signal.signal(signal.SIGTERM, {on_stop})
threading.Thread(target=server.serve_forever, daemon=True).start()
print(f"open http://127.0.0.1:{{server.server_port}}", flush=True)
threading.Event().wait()
"""
ENDS_WELL, ENDS_BADLY = "lambda *_: sys.exit(0)", "lambda *_: sys.exit(3)"


def write_program(path: Path, code: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{code}", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_a_sandbox_that_starts_and_stops_is_accepted(tmp_path: Path) -> None:
    command = write_program(tmp_path / "notifier", SERVER.format(has_page=True, on_stop=ENDS_WELL))

    installation.check_sandbox(command, tmp_path)


@pytest.mark.parametrize(
    "code, reason",
    [
        (SERVER.format(has_page=True, on_stop=ENDS_BADLY), "exit code 3"),
        (SERVER.format(has_page=True, on_stop="signal.SIG_IGN"), "ran on"),
        (SERVER.format(has_page=True, on_stop="signal.SIG_DFL"), "exit code -15"),
        (SERVER.format(has_page=False, on_stop=ENDS_WELL), "did not answer"),
        ("raise SystemExit('no page files')", "no page files"),
    ],
)
def test_a_sandbox_without_its_page_or_without_an_end_is_refused(
    tmp_path: Path, code: str, reason: str
) -> None:
    with pytest.raises(ReleaseError, match=reason):
        installation.check_sandbox(
            write_program(tmp_path / "notifier", code), tmp_path, start_seconds=5, stop_seconds=0.5
        )


@pytest.mark.parametrize(
    "printed, where, checked, reason",
    [
        (VERSION, "", 0, None),
        ("0.0.9", "", 0, "0.0.9"),
        (VERSION, "/elsewhere", 0, "not the installed package"),
        (VERSION, "", 1, "PROBLEM template"),
    ],
)
def test_the_installed_command_must_be_of_this_version_and_find_the_example_right(
    tmp_path: Path, printed: str, where: str, checked: int, reason: str | None
) -> None:
    environment = installation.Environment.__new__(installation.Environment)
    environment.folder = tmp_path / "environment"
    notifier = f"""
import sys
if sys.argv[1:] == ["--version"]:
    print("notifier, version {printed}")
else:
    assert sys.argv[1:3] == ["check", "--config"] and sys.argv[3].endswith("config.example.yaml")
    print("PROBLEM template")
    sys.exit({checked})
"""
    write_program(environment.command, notifier)
    write_program(environment.python, f"print('{where or environment.folder}/notifier/__init__.py')")

    if reason is None:
        installation.check_commands(environment, tmp_path, VERSION)
        return
    with pytest.raises(ReleaseError, match=reason):
        installation.check_commands(environment, tmp_path, VERSION)


# the SBOM

PINS = {"aiohttp": "3.1", "ruamel-yaml": "0.2", "other-platform": "1"}


def make_document() -> dict[str, Any]:
    return {
        "metadata": {"component": {"name": "referral-notifier", "version": VERSION}},
        "components": [
            {"name": "aiohttp", "version": "3.1", "licenses": [{"license": {"id": "MIT"}}]},
            {"name": "ruamel.yaml", "version": "0.2", "licenses": [{"expression": "MIT"}]},
        ],
    }


def test_an_sbom_of_pinned_packages_is_accepted() -> None:
    sbom.check_sbom(make_document(), VERSION, PINS)

    assert {"MIT": 2} == sbom.count_licences(make_document())
    document = make_document()
    sbom.add_bundled(document)
    sbom.check_sbom(document, VERSION, PINS)
    assert {"MIT": 3} == sbom.count_licences(document)
    assert {"not declared (pip)": 1} == sbom.count_licences({"components": [{"name": "pip"}]})


@pytest.mark.parametrize(
    "change, reason",
    [
        (
            lambda document: document["components"].append({"name": "pip", "version": "26"}),
            "not pinned: pip 26",
        ),
        (lambda document: document["components"][0].update(version="3.0"), "not pinned: aiohttp 3.0"),
        (lambda document: document["components"].clear(), "none at all"),
        (lambda document: document["metadata"]["component"].pop("version"), "describes"),
        (lambda document: document["components"][0].update(url="file:///home/a/b.whl"), "local path"),
    ],
)
def test_an_sbom_of_something_else_is_refused(change: Callable[[Any], object], reason: str) -> None:
    document = make_document()
    change(document)

    with pytest.raises(ReleaseError, match=reason):
        sbom.check_sbom(document, VERSION, PINS)


# the audit

CHECKED = {"name": "aiohttp", "version": "3.1", "vulns": []}
FLAWED = {"name": "aiohttp", "version": "3.1", "vulns": [{"id": "GHSA-1", "fix_versions": ["3.2"]}]}
SKIPPED = {"name": "aiohttp", "skip_reason": "not found"}


@pytest.mark.parametrize(
    "output, code, expected, text",
    [
        (json.dumps({"dependencies": [CHECKED]}), 0, audit.CLEAN, "1 packages checked"),
        (json.dumps({"dependencies": [FLAWED]}), 1, audit.VULNERABLE, "aiohttp 3.1: GHSA-1, fixed in 3.2"),
        (json.dumps({"dependencies": [FLAWED, SKIPPED]}), 1, audit.VULNERABLE, "GHSA-1"),
        (json.dumps({"dependencies": [SKIPPED]}), 0, audit.NOT_AUDITED, "1 of 1 packages were not found"),
        (json.dumps({"dependencies": [CHECKED, SKIPPED]}), 0, audit.NOT_AUDITED, "1 of 2 packages"),
        (json.dumps({"dependencies": []}), 0, audit.NOT_AUDITED, "incomplete"),
        (json.dumps({"dependencies": [CHECKED]}), 1, audit.NOT_AUDITED, "incomplete"),
        ("", 1, audit.NOT_AUDITED, "ConnectionError: no route"),
    ],
)
def test_only_a_complete_audit_is_clean(
    tmp_path: Path, output: str, code: int, expected: int, text: str
) -> None:
    """pip-audit itself ends with 0 where it finds no package in the advisory service."""
    program = f"""
import sys
print({output!r})
print("Traceback (most recent call last):\\nConnectionError: no route", file=sys.stderr)
sys.exit({code})
"""
    pins = tmp_path / "run.txt"
    pins.write_text("aiohttp==3.1 \\\n    --hash=sha256:00\n", encoding="utf-8")

    code_found, printed = audit.audit([write_program(tmp_path / "pip-audit", program)], pins)

    assert expected == code_found
    assert text in printed
    assert "Traceback" not in printed
    assert (expected == audit.NOT_AUDITED) == printed.startswith(
        "Not audited: the advisory service could not be reached"
    )


def test_a_release_uses_the_pins_of_the_checks_and_the_checks_none_of_its_packages() -> None:
    def pins(name: str) -> dict[str, str]:
        return sbom.read_pins((ROOT / "requirements" / name).read_text(encoding="utf-8"))

    release, dev = pins("release.txt"), pins("dev.txt")
    planned = subprocess.run(
        ["make", "-n", "check"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    ).stdout

    assert {"twine", "pip-audit", "cyclonedx-bom", *pins("build.txt")} <= set(release)
    assert {} == {name: (of, dev[name]) for name, of in release.items() if dev.get(name, of) != of}
    assert "pytest" in planned
    assert "requirements/release.txt" not in planned
