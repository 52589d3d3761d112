"""The Dockerfile and its build context. No image is built here: that needs a container runtime."""

import re
from collections.abc import Iterator

import pytest

import notifier
from support.deployment_files import ROOT, find_unknown_variables, read
from support.dockerfile import Dockerfile, Stage, read_dockerfile

FILE = "docker/Dockerfile"
PINNED = re.compile(r":\d+\.\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?$|@sha256:[0-9a-f]{64}$")
SECRET_NAME = re.compile(r"SECRET|PASSWORD|TOKEN|(?<!PUBLIC_)KEY|CREDENTIAL", re.IGNORECASE)
LABELS = ("title", "description", "licenses", "version", "revision")


def find_faults(file: Dockerfile) -> list[str]:
    """What is wrong with a Dockerfile, by our rules."""
    return [*_faults_of_all_stages(file), *_faults_of_the_image(file.image)]


def _faults_of_all_stages(file: Dockerfile) -> Iterator[str]:
    names = list(file.arguments)
    for stage in file.stages:
        if not PINNED.search(stage.image):
            yield f"base image without a patch version or digest: {stage.image}"
        names += [*stage.environment(), *(each.value.split("=")[0] for each in stage.find_all("ARG"))]
        if stage.find_all("ADD"):
            yield "ADD"
        for each in stage.find_all("RUN"):
            if "--no-compile" in each.value:
                yield "modules are compiled again at each start"
            for command in re.findall(r"pip (?:install|wheel) .*?(?=&&|$)", each.value):
                if not any(part in command for part in ("--require-hashes", "--no-deps")):
                    yield f"packages without hashes: {command}"
    yield from (f"a secret in ENV or ARG: {name}" for name in names if SECRET_NAME.search(name))


def _faults_of_the_image(image: Stage) -> Iterator[str]:
    for name in ("USER", "ENTRYPOINT", "CMD", "HEALTHCHECK", "STOPSIGNAL", "WORKDIR"):
        if not image.find_all(name):
            yield f"no {name}"
    for each in image.instructions:
        if each.name == "USER" and not re.fullmatch(r"[1-9]\d*:[1-9]\d*", each.value):
            yield f"USER is not a number, or root: {each.value}"
        if each.name in {"ENTRYPOINT", "CMD", "HEALTHCHECK"} and each.as_words() is None:
            yield f"{each.name} runs a shell"
        if each.name == "HEALTHCHECK" and re.search("curl|wget", each.value):
            yield "HEALTHCHECK needs a package"
        if each.name == "COPY" and "--from=" not in each.value:
            yield f"the image holds a part of the build context: {each.value}"
        if each.name == "RUN":
            yield "RUN in the image"
        if each.name == "STOPSIGNAL" and each.value != "SIGTERM":
            yield f"another signal than SIGTERM: {each.value}"
    labels = {name for each in image.find_all("LABEL") for name in each.as_pairs()}
    yield from (f"no label {name}" for name in LABELS if f"org.opencontainers.image.{name}" not in labels)


def test_the_dockerfile_follows_the_rules() -> None:
    assert [] == find_faults(read_dockerfile(read(FILE)))


@pytest.mark.parametrize(
    "old, new, fault",
    [
        ("USER 10001:10001", "USER root", "USER is not a number, or root: root"),
        ("USER 10001:10001", "USER 0:0", "USER is not a number, or root: 0:0"),
        ("USER 10001:10001\n", "", "no USER"),
        (
            ":3.13.9-slim-bookworm\n",
            ":latest\n",
            "base image without a patch version or digest: python:latest",
        ),
        (":3.13.9-slim-bookworm\n", ":3\n", "base image without a patch version or digest: python:3"),
        (":3.13.9-slim-bookworm\n", "\n", "base image without a patch version or digest: python"),
        ('CMD ["run"]', "CMD run", "CMD runs a shell"),
        ('ENTRYPOINT ["notifier"]', "ENTRYPOINT notifier", "ENTRYPOINT runs a shell"),
        (
            'CMD ["notifier", "health"]',
            "CMD curl -f http://127.0.0.1:8080/livez",
            "HEALTHCHECK needs a package",
        ),
        ("HEALTHCHECK", "#", "no HEALTHCHECK"),
        ("STOPSIGNAL SIGTERM", "STOPSIGNAL SIGKILL", "another signal than SIGTERM: SIGKILL"),
        ("LANG=C.UTF-8", "FEISHU_APP_SECRET=x", "a secret in ENV or ARG: FEISHU_APP_SECRET"),
        ("ARG VERSION=0.1.0", "ARG FEISHU_APP_SECRET", "a secret in ENV or ARG: FEISHU_APP_SECRET"),
        ("USER 10001", "COPY . /srv\nUSER 10001", "the image holds a part of the build context: . /srv"),
        ("USER 10001", "ADD https://example.com/a /a\nUSER 10001", "ADD"),
        ("USER 10001", "RUN apt-get update\nUSER 10001", "RUN in the image"),
        ("image.version=", "image.versions=", "no label version"),
        ("--only-binary", "--no-compile --only-binary", "modules are compiled again at each start"),
        (
            "--require-hashes -r requirements/build.txt",
            "hatchling",
            "packages without hashes: pip install --no-cache-dir hatchling",
        ),
    ],
)
def test_each_rule_finds_its_fault(old: str, new: str, fault: str) -> None:
    text = read(FILE)
    assert old in text

    assert fault in find_faults(read_dockerfile(text.replace(old, new)))


def test_the_image_sets_settings_that_exist_and_the_version_of_the_program() -> None:
    image = read_dockerfile(read(FILE)).image
    named = {name for name in image.environment() if name.startswith(("NOTIFIER_", "FEISHU_"))}

    assert named
    assert set() == find_unknown_variables(named)
    assert f"VERSION={notifier.__version__}" in [each.value for each in image.find_all("ARG")]


def test_the_volume_is_the_folder_of_the_database() -> None:
    image = read_dockerfile(read(FILE)).image

    assert [f"{image.find('WORKDIR').value}/data"] == image.find("VOLUME").as_words()


def _patterns() -> tuple[list[str], set[str]]:
    """The lines that exclude from the build context, and the places that are in it."""
    text = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [line for line in lines if line[0] != "!"], {line[1:] for line in lines if line[0] == "!"}


def test_the_build_context_holds_what_the_build_copies_and_nothing_else() -> None:
    excluded, included = _patterns()
    copied: set[str] = set()
    for stage in read_dockerfile(read(FILE)).stages:
        for each in stage.find_all("COPY"):
            if "--from=" not in each.value:
                copied |= set(each.value.split(" ")[:-1])

    assert ["*", "**/__pycache__"] == excluded
    assert copied == included
    assert [] == [place for place in included if not (ROOT / place).exists()]
