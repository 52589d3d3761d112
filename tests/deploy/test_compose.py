"""The Compose file: valid, hardened, and in step with the image. No container runs here."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from compose_spec import PyOptions

import notifier
from support.deployment_files import (
    STOP_SECONDS,
    check,
    find_unknown_variables,
    read,
    read_environment_file,
    read_yaml,
)
from support.dockerfile import read_dockerfile

FILE = "compose.yaml"
ENVIRONMENT = "compose.env.example"
CONFIG = "compose.config.yaml"


def find_faults(text: str) -> list[str]:
    """What is wrong with a Compose file: by the specification, and by our rules."""
    options = PyOptions(apply_merge=True)
    try:
        options.from_yaml(text).validate()
    except ValueError as error:
        return [f"not valid: {error}"]
    [document] = read_yaml(text)
    services = document["services"]
    faults = [
        f"{name}: {fault}" for name, each in services.items() for fault in _faults_of_service(each, document)
    ]
    if services["postgres"]["networks"] != ["database"] or not document["networks"]["database"].get(
        "internal"
    ):
        faults.append("the database is reachable from outside")
    return faults


def _faults_of_service(service: dict[str, Any], document: dict[str, Any]) -> Iterator[str]:
    yield from _faults_of_privileges(service)
    yield from _faults_of_references(service, document)
    if not service.get("healthcheck") and "build" not in service:
        yield "no health check"
    if not re.search(r":v?\d+\.\d+[\w.-]*$", service["image"]):
        yield f"image without a version: {service['image']}"
    if int(service.get("stop_grace_period", "0s").rstrip("s")) <= STOP_SECONDS:
        yield "is killed before it has stopped"
    for name, value in service.get("environment", {}).items():
        if re.search("SECRET|PASSWORD", name) and not re.fullmatch(r"\$\{\w+:-\}", value):
            yield f"a secret stands in the file: {name}"


def _faults_of_privileges(service: dict[str, Any]) -> Iterator[str]:
    if service.get("read_only") is not True:
        yield "the root file system is writable"
    if service.get("cap_drop") != ["ALL"] or "cap_add" in service or "privileged" in service:
        yield "has capabilities"
    if "no-new-privileges:true" not in service.get("security_opt", []):
        yield "may gain privileges"
    if any(not str(port).startswith("127.0.0.1:") for port in service.get("ports", ())):
        yield "publishes a port"
    if service.get("network_mode") == "host" and "profiles" not in service:
        yield "runs on the network of the host"


def _faults_of_references(service: dict[str, Any], document: dict[str, Any]) -> Iterator[str]:
    for name in service.get("depends_on", {}):
        if name not in document["services"]:
            yield f"depends on {name}, which does not exist"
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if source[0] not in "./" and source not in document["volumes"]:
            yield f"volume {source} does not exist"
        if source[0] in "./" and not volume.endswith(":ro"):
            yield f"may change {source}"


def test_the_file_follows_the_specification_and_the_rules() -> None:
    assert [] == find_faults(read(FILE))


@pytest.mark.parametrize(
    "old, new, fault",
    [
        ("stop_grace_period: 20s", "stop_grace_periode: 20s", "not valid: extension key"),
        ("restart: unless-stopped", "restart: sometimes", "not valid: unknown variant"),
        ("[database, feishu]", "[database, feishuu]", "not valid: network `feishuu`"),
        ("replicas: 2", "replicas: two", "not valid: invalid type"),
        ("read_only: true", "read_only: false", "notifier: the root file system is writable"),
        ("cap_drop: [ALL]", "cap_drop: [ALL]\n  cap_add: [SYS_ADMIN]", "notifier: has capabilities"),
        ("cap_drop: [ALL]", "cap_drop: [NET_RAW]", "postgres: has capabilities"),
        ("no-new-privileges:true", "no-new-privileges:false", "notifier: may gain privileges"),
        ("command: [", 'ports: ["8765:8765"]\n    command: [', "sandbox: publishes a port"),
        ("    profiles: [demo]\n", "", "sandbox: runs on the network of the host"),
        ("stop_grace_period: 20s", "stop_grace_period: 10s", "notifier: is killed before it has stopped"),
        ("image: postgres:17.6-bookworm", "image: postgres:latest", "postgres: image without a version"),
        ("      postgres:\n        cond", "      postgre:\n        cond", "notifier: depends on postgre, "),
        ('"postgres:/var', '"data:/var', "postgres: volume data does not exist"),
        ("config.yaml:ro", "config.yaml", "notifier: may change ./compose.config.yaml"),
        ("${FEISHU_APP_SECRET:-}", "abc", "notifier: a secret stands in the file: FEISHU_APP_SECRET"),
        ("internal: true", "internal: false", "the database is reachable from outside"),
    ],
)
def test_each_rule_finds_its_fault(old: str, new: str, fault: str) -> None:
    text = read(FILE)
    assert old in text

    found = find_faults(text.replace(old, new))

    assert [each for each in found if each.startswith(fault)], found


def _services() -> dict[str, Any]:
    [document] = read_yaml(read(FILE))
    services: dict[str, Any] = document["services"]
    return services


def test_the_services_fit_the_image() -> None:
    image = read_dockerfile(read("docker/Dockerfile")).image
    notifiers = [each for each in _services().values() if "build" in each]
    user, group = image.find("USER").value.split(":")
    work = image.find("WORKDIR").value

    assert 2 == len(notifiers)
    for each in notifiers:
        assert f"notifier:{notifier.__version__}" == each["image"]
        assert any(
            place.startswith(f"{work}/data:mode=0700,uid={user},gid={group}") for place in each["tmpfs"]
        )
    assert [f"./{CONFIG}:{work}/config.yaml:ro"] == _services()["notifier"]["volumes"]


def test_the_variables_are_settings_and_the_example_has_all_of_them() -> None:
    environment = _services()["notifier"]["environment"]
    replaced = set(re.findall(r"\$\{(\w+)", read(FILE)))

    assert set() == find_unknown_variables(environment)
    assert replaced == set(read_environment_file(read(ENVIRONMENT)))
    assert {""} == set(read_environment_file(read(ENVIRONMENT)).values())


def test_the_configuration_is_right_and_needs_the_credentials() -> None:
    complete = check(CONFIG, {"PGPASSWORD": "an-example-password"})
    empty = check(CONFIG, {"FEISHU_APP_ID": "", "FEISHU_APP_SECRET": ""}, command="run")

    assert 0 == complete.exit_code, complete.output
    assert "postgresql://notifier@postgres/notifier" in complete.output
    assert 2 == empty.exit_code
    assert "feishu.app_id is missing" in empty.output
