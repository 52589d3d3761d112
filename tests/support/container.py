"""Runs the notifier as its image would run it: process 1, a read-only root, a user without an entry, no capabilities.

The image itself needs a container runtime. Here the kernel's namespaces give the same surroundings, and the command,
the folder and the environment come from the Dockerfile.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from notifier.sandbox.testing import FeishuBox
from support.dockerfile import Stage, read_dockerfile
from support.leaks import fail_on_secret, fail_on_secret_in_folder
from support.ports import free_port
from support.requirements import skip_or_fail
from support.waiting import wait_until

DOCKERFILE = Path(__file__).parents[2] / "deploy" / "docker" / "Dockerfile"
UID = 54321
"""No user of the machine, as with a platform that chooses the number."""
STOP_SECONDS = 10
"""The time that docs/operations.md promises."""
DEVICES = ("null", "zero", "full", "random", "urandom")
PYTHON = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
UNSHARE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--")
CONFIG = """\
feishu:
  base_url: {url}
  timeout_seconds: 5
groups:
  fallback:
    chat_id: oc_sandbox_fallback
fallback_group: fallback
"""


@cache
def why_impossible() -> str:
    """Why this process cannot make namespaces and mounts. Empty: it can."""
    missing = [
        name for name in ("unshare", "mount", "setpriv", "nsenter", "chroot") if not shutil.which(name)
    ]
    if missing:
        return f"there is no {', '.join(missing)}"
    try:
        tried = subprocess.run(
            [*UNSHARE, "sh", "-c", "mount -t tmpfs none /mnt && mount -t proc proc /mnt"],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
    except OSError as error:
        return str(error)
    return tried.stderr.strip() or (f"exit code {tried.returncode}" if tried.returncode else "")


def read_image() -> Stage:
    """The stage of the Dockerfile that becomes the image."""
    return read_dockerfile(DOCKERFILE.read_text(encoding="utf-8")).image


class Container:
    """The notifier in a root of its own. installed: the unpacked wheel. folder: for the data, the log and the root.

    The attribute `environment` can be changed before the start.
    """

    def __init__(self, box: FeishuBox, folder: Path, installed: Path) -> None:
        self.image = read_image()
        self.box = box
        self.data = folder / "data"
        self.log_file = folder / "container.log"
        self.work = self.image.find("WORKDIR").value
        self.port = free_port()
        self._folder, self._installed = folder, installed
        self._config = folder / "config.yaml"
        self._config.write_text(CONFIG.format(url=box.url), encoding="utf-8")
        self._config.chmod(0o644)
        self.data.mkdir(mode=0o700)
        os.chown(self.data, UID, UID)
        self.environment = self.image.environment() | {
            "LANG": "C",
            "LC_ALL": "C",
            "PYTHONPATH": "/opt/notifier/site:/opt/notifier/packages",
            "FEISHU_APP_ID": box.app_id,
            "FEISHU_APP_SECRET": box.app_secret,
            "NOTIFIER_HEALTH__LISTEN": f"127.0.0.1:{self.port}",
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What the notifier printed."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that waits for process 1. It ends with its exit code."""
        assert self._process is not None
        return self._process

    @property
    def pid(self) -> int:
        """The id of its process 1, outside of it."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(wait_until(lambda: children.read_text(encoding="ascii").strip(), "process 1 exists"))

    def status(self) -> Mapping[str, str]:
        """The fields of /proc/PID/status of its process 1."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def start(self, *, writable_data: bool = True, connected: bool = True) -> None:
        """Starts it. connected: waits until its long connection is open."""
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*UNSHARE, "sh", "-euc", self._script(writable_data=writable_data)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                cwd="/",
            )
        if connected:
            self.box.wait_for(
                lambda: self.box.connections() > 0 or self.process.poll() is not None,
                "the notifier is connected",
                timeout=60,
            )
            assert self.process.poll() is None, self.log

    def wait_until_stop_is_handled(self) -> None:
        """Waits until its process 1 handles SIGTERM. The kernel drops the signal before that."""
        bit = 1 << (signal.SIGTERM - 1)
        wait_until(lambda: int(self.status()["SigCgt"], 16) & bit, "process 1 handles SIGTERM", seconds=30)

    def stop(self) -> float:
        """Sends SIGTERM, as a container runtime does. Returns the seconds until the end; the exit code must be 0."""
        started = time.monotonic()
        os.kill(self.pid, signal.SIGTERM)
        assert 0 == self.process.wait(STOP_SECONDS), self.log
        fail_on_secret_in_folder(self._folder)
        return time.monotonic() - started

    def execute(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs another command inside, as its user."""
        enter = ("nsenter", "--target", str(self.pid), "--mount", "--pid", "--root", "--wd")
        ran = subprocess.run(
            [*enter, *_as_user(), *words],
            capture_output=True,
            text=True,
            check=False,
            env=self.environment,
            timeout=60,
        )
        fail_on_secret(ran.stdout + ran.stderr, f"the output of {' '.join(words)}")
        return ran

    def run_notifier(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs another command of the notifier inside."""
        return self.execute(str(PYTHON), "-m", "notifier", *words)

    def kill(self) -> None:
        """Ends it at once, if it still runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()  # the kernel ends its children, because of --kill-child
            self._process.wait(STOP_SECONDS)

    def _script(self, *, writable_data: bool) -> str:
        root = self._folder / "root"
        root.mkdir(exist_ok=True)
        lines = ["umask 022", f"mount -t tmpfs -o mode=755 root {root}"]
        for name in ("bin", "sbin", "lib", "lib64"):
            host = Path("/", name)
            if host.is_symlink():
                lines.append(f"ln -s {host.readlink()} {root}/{name}")
            elif host.is_dir():
                lines += _bind(host, root, f"/{name}")
        for host in (Path("/usr"), Path("/etc"), Path(sys.base_prefix)):
            lines += _bind(host, root, str(host))
        lines += _bind(self._installed, root, "/opt/notifier/site")
        lines += _bind(Path(sysconfig.get_paths()["purelib"]), root, "/opt/notifier/packages")
        lines += _bind(self._config, root, f"{self.work}/config.yaml")
        lines += _bind(self.data, root, f"{self.work}/data", mode="rw" if writable_data else "ro")
        for kind, name in (("proc", "proc"), ("tmpfs -o mode=1777", "tmp"), ("tmpfs -o mode=755", "dev")):
            lines += [f"mkdir {root}/{name}", f"mount -t {kind} {name} {root}/{name}"]
        for name in DEVICES:
            lines += [f"touch {root}/dev/{name}", f"mount --bind /dev/{name} {root}/dev/{name}"]
        lines.append(f"mount -o remount,ro {root}/dev && mount -o remount,ro {root}")
        [command] = [self.image.find("CMD").as_words()]
        assert command is not None
        words = [*_as_user(), PYTHON, "-m", "notifier", *command]
        inside = f"cd {self.work} && exec {shlex.join(map(str, words))}"
        lines.append(f"exec {shutil.which('chroot')} {root} /bin/sh -euc {shlex.quote(inside)}")
        return "\n".join(lines)


def _as_user() -> tuple[str, ...]:
    ids = (f"--reuid={UID}", f"--regid={UID}", "--clear-groups")
    return ("/usr/bin/setpriv", *ids, "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")


def _bind(host: Path, root: Path, place: str, *, mode: str = "ro") -> list[str]:
    target = shlex.quote(f"{root}{place}")
    made = f"mkdir -p {target}" if host.is_dir() else f"mkdir -p $(dirname {target}); touch {target}"
    return [made, f"mount --bind -o {mode} {shlex.quote(str(host))} {target}"]


@contextmanager
def container(box: FeishuBox, folder: Path, installed: Path) -> Iterator[Container]:
    """A container that was not started yet. It is killed after the block. Skips the test where none is possible."""
    if reason := why_impossible():
        skip_or_fail("namespaces", f"namespaces and mounts need more privileges: {reason}")
    made = Container(box, folder, installed)
    try:
        yield made
    finally:
        made.kill()
