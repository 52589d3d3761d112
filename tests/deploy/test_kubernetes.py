"""The manifests for Kubernetes: valid, hardened, and in step with the image. No cluster runs here."""

import copy
import functools
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import kubernetes_validate
import pytest

import notifier
from support.deployment_files import (
    DEPLOY,
    STOP_SECONDS,
    check,
    find_unknown_variables,
    read,
    read_yaml,
    walk,
)
from support.dockerfile import read_dockerfile
from support.requirements import skip_or_fail

FOLDER = "kubernetes"
VERSIONS = ("1.31", kubernetes_validate.latest_version())
"""The oldest and the newest that the manifests are checked against."""
NO_MANIFESTS = {"kustomization.yaml", "config.yaml", "secret.example.yaml"}

Manifest = dict[str, Any]


def _kustomization() -> Manifest:
    [document] = read_yaml(read(f"{FOLDER}/kustomization.yaml"))
    return dict(document)


def load_manifests() -> list[Manifest]:
    """All that the kustomization applies, but the ConfigMap that it makes."""
    return [each for name in _kustomization()["resources"] for each in read_yaml(read(f"{FOLDER}/{name}"))]


def find_faults(manifests: list[Manifest]) -> list[str]:
    """What is wrong with the manifests: by the schemas, between each other, and by our rules."""
    faults = [
        fault
        for each in manifests
        for version in VERSIONS
        for fault in _faults_of_schema(json.dumps(each), version)
    ]
    if faults:
        return faults
    return [*_faults_of_references(manifests), *_faults_of_pod(_find(manifests, "Deployment"))]


@functools.cache
def _faults_of_schema(manifest: str, version: str) -> tuple[str, ...]:
    """Cached, because each test changes one manifest of many. manifest: as JSON."""
    try:
        kubernetes_validate.validate(json.loads(manifest), version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return (f"not valid for {version}: {error.message}",)
    return ()


def _find(manifests: list[Manifest], kind: str) -> Manifest:
    return next(each for each in manifests if each["kind"] == kind)


def _container(deployment: Manifest) -> Manifest:
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return dict(container)


def _faults_of_references(manifests: list[Manifest]) -> Iterator[str]:
    deployment = _find(manifests, "Deployment")
    template = deployment["spec"]["template"]
    pod, labels = template["spec"], template["metadata"]["labels"]
    selectors = {
        "Deployment": deployment["spec"]["selector"]["matchLabels"],
        "PodDisruptionBudget": _find(manifests, "PodDisruptionBudget")["spec"]["selector"].get("matchLabels"),
        "NetworkPolicy": _find(manifests, "NetworkPolicy")["spec"]["podSelector"].get("matchLabels"),
    }
    services = [each for each in manifests if each["kind"] == "Service"]
    selectors |= {f"Service {each['metadata']['name']}": each["spec"].get("selector") for each in services}
    yield from (f"{name} selects other pods" for name, selector in selectors.items() if selector != labels)
    ports = {port["name"]: port["containerPort"] for port in _container(deployment)["ports"]}
    used = [port["targetPort"] for each in services for port in each["spec"]["ports"]]
    rules = _find(manifests, "NetworkPolicy")["spec"]["ingress"]
    used += [port["port"] for rule in rules for port in rule["ports"]]
    yield from (f"no port {name}" for name in used if name not in ports)
    probes = [
        _container(deployment)[name]["httpGet"]
        for name in ("startupProbe", "livenessProbe", "readinessProbe")
    ]
    if ["/livez", "/livez", "/readyz"] != [probe["path"] for probe in probes]:
        yield "a probe asks for another path"
    if {"health"} != {probe["port"] for probe in probes}:
        yield "a probe asks another port"
    environment = {each["name"]: each for each in _container(deployment)["env"]}
    if environment["NOTIFIER_HEALTH__LISTEN"]["value"] != f"0.0.0.0:{ports['health']}":
        yield "the probes ask where nothing listens"
    if template["metadata"]["annotations"]["prometheus.io/port"] != str(ports["health"]):
        yield "Prometheus asks where nothing listens"
    unknown = find_unknown_variables(environment)
    yield from (f"{name} is no setting" for name in sorted(unknown))
    if pod["serviceAccountName"] != _find(manifests, "ServiceAccount")["metadata"]["name"]:
        yield "another service account"


def _faults_of_pod(deployment: Manifest) -> Iterator[str]:
    pod, container = deployment["spec"]["template"]["spec"], _container(deployment)
    if pod.get("automountServiceAccountToken") is not False:
        yield "the pod gets a token of the API"
    if pod.get("enableServiceLinks") is not False:
        yield "variables of Services reach the pod"
    if pod.get("terminationGracePeriodSeconds", 30) <= STOP_SECONDS:
        yield "the pod is killed before it has stopped"
    if not {"cpu", "memory"} <= set(container["resources"]["requests"]):
        yield "no requests"
    if "memory" not in container["resources"]["limits"]:
        yield "no limit of memory"
    if deployment["spec"]["replicas"] < 2:
        yield "a single replica"
    yield from _faults_of_privileges(pod, container)
    image = read_dockerfile(read("docker/Dockerfile")).image
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    if mounts.get("config") != f"{image.find('WORKDIR').value}/config.yaml" or "/tmp" not in mounts.values():  # noqa: S108
        yield "a volume is missing"
    if {each["name"] for each in pod["volumes"]} != set(mounts):
        yield "volumes and mounts differ"


def _faults_of_privileges(pod: Manifest, container: Manifest) -> Iterator[str]:
    security, of_pod = container.get("securityContext", {}), pod.get("securityContext", {})
    if security.get("readOnlyRootFilesystem") is not True:
        yield "the root file system is writable"
    if security.get("allowPrivilegeEscalation") is not False or security.get("privileged"):
        yield "the container may gain privileges"
    if security.get("capabilities") != {"drop": ["ALL"]}:
        yield "the container has capabilities"
    if of_pod.get("runAsNonRoot") is not True:
        yield "the pod may run as root"
    if of_pod.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "no seccomp profile"
    image = read_dockerfile(read("docker/Dockerfile")).image
    if f"{of_pod.get('runAsUser')}:{of_pod.get('runAsGroup')}" != image.find("USER").value:
        yield "another user than that of the image"


def test_the_manifests_follow_the_schemas_and_the_rules() -> None:
    manifests = load_manifests()

    assert [
        "Deployment",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Service",
        "Service",
        "ServiceAccount",
    ] == sorted(each["kind"] for each in manifests)
    assert [] == find_faults(manifests)


def _pod(manifests: list[Manifest]) -> Manifest:
    return dict(_find(manifests, "Deployment")["spec"]["template"]["spec"])


def _set(path: str, value: object) -> Callable[[list[Manifest]], None]:
    """A change of one value. path: the kind and the keys, numbers for places in lists, | for a slash.

    None removes the value.
    """

    def change(manifests: list[Manifest]) -> None:
        kind, *keys, last = (key.replace("|", "/") for key in path.split("/"))
        node: Any = _find(manifests, kind)
        for key in keys:
            node = node[int(key)] if key.isdigit() else node[key]
        if value is None:
            del node[last]
        else:
            node[last] = value

    return change


POD = "Deployment/spec/template/spec"
CONTAINER = f"{POD}/containers/0"


@pytest.mark.parametrize(
    "path, value, fault",
    [
        ("Deployment/spec/replica", 2, "not valid for 1.31: Additional properties are not allowed"),
        ("Deployment/spec/replicas", "2", "not valid for 1.31: '2' is not"),
        ("Deployment/spec/selector", None, "not valid for 1.31: 'selector' is a required property"),
        (f"{CONTAINER}/livenessProbe/httpGet/prot", 1, "not valid for 1.31: Additional properties"),
        ("Deployment/spec/replicas", 1, "a single replica"),
        ("Deployment/spec/template/metadata/labels", {"app": "x"}, "Deployment selects other pods"),
        ("NetworkPolicy/spec/podSelector", {}, "NetworkPolicy selects other pods"),
        ("PodDisruptionBudget/spec/selector", {}, "PodDisruptionBudget selects other pods"),
        ("Service/spec/selector", None, "Service notifier selects other pods"),
        ("Service/spec/ports/0/targetPort", "web", "no port web"),
        ("NetworkPolicy/spec/ingress/0/ports/0/port", "metrics", "no port metrics"),
        (f"{CONTAINER}/livenessProbe/httpGet/path", "/readyz", "a probe asks for another path"),
        (f"{CONTAINER}/livenessProbe/httpGet/port", "webhook", "a probe asks another port"),
        (f"{CONTAINER}/env/1/value", "127.0.0.1:8080", "the probes ask where nothing listens"),
        (f"{CONTAINER}/env/0/name", "NOTIFIER_REPLICA_NAME", "NOTIFIER_REPLICA_NAME is no setting"),
        (
            "Deployment/spec/template/metadata/annotations/prometheus.io|port",
            "9090",
            "Prometheus asks where nothing listens",
        ),
        ("ServiceAccount/metadata/name", "other", "another service account"),
        (f"{POD}/automountServiceAccountToken", True, "the pod gets a token of the API"),
        (f"{POD}/enableServiceLinks", None, "variables of Services reach the pod"),
        (f"{POD}/terminationGracePeriodSeconds", 5, "the pod is killed before it has stopped"),
        (f"{CONTAINER}/resources/requests/cpu", None, "no requests"),
        (f"{CONTAINER}/resources/limits/memory", None, "no limit of memory"),
        (f"{CONTAINER}/securityContext/readOnlyRootFilesystem", False, "the root file system is writable"),
        (f"{CONTAINER}/securityContext/privileged", True, "the container may gain privileges"),
        (f"{CONTAINER}/securityContext/capabilities", None, "the container has capabilities"),
        (f"{POD}/securityContext/runAsNonRoot", False, "the pod may run as root"),
        (f"{POD}/securityContext/runAsUser", 0, "another user than that of the image"),
        (f"{POD}/securityContext/seccompProfile/type", "Unconfined", "no seccomp profile"),
        (f"{CONTAINER}/volumeMounts/0/mountPath", "/etc/notifier/config.yaml", "a volume is missing"),
        (f"{POD}/volumes/1/name", "temporary", "volumes and mounts differ"),
    ],
)
def test_each_rule_finds_its_fault(path: str, value: object, fault: str) -> None:
    manifests = copy.deepcopy(load_manifests())
    _set(path, value)(manifests)

    found = find_faults(manifests)

    assert [each for each in found if each.startswith(fault)], found


def test_every_file_of_the_folder_is_applied_or_known() -> None:
    kustomization = _kustomization()
    files = {path.name for path in (DEPLOY / FOLDER).iterdir()}
    generated = {file for each in kustomization["configMapGenerator"] for file in each["files"]}
    [image] = kustomization["images"]

    assert files == set(kustomization["resources"]) | NO_MANIFESTS
    assert {"config.yaml"} == generated
    assert ("notifier", notifier.__version__) == (image["name"], str(image["newTag"]))


def test_the_names_in_the_pod_are_made_by_the_kustomization_and_the_secret() -> None:
    manifests = load_manifests()
    [secret] = read_yaml(read(f"{FOLDER}/secret.example.yaml"))
    names = {
        value for path, value in walk(_pod(manifests)) if path.endswith(("secretRef.name", "configMap.name"))
    }

    assert {secret["metadata"]["name"], _kustomization()["configMapGenerator"][0]["name"]} == names


def test_the_secret_has_settings_and_no_values() -> None:
    [secret] = read_yaml(read(f"{FOLDER}/secret.example.yaml"))
    values = secret["stringData"]

    kubernetes_validate.validate(secret, VERSIONS[0], strict=True)
    assert set() == find_unknown_variables(values)
    assert {name: f"${{{name}}}" for name in values} == values


def test_the_notifier_refuses_to_start_with_the_values_of_the_example() -> None:
    [secret] = read_yaml(read(f"{FOLDER}/secret.example.yaml"))

    refused = check(f"{FOLDER}/config.yaml", secret["stringData"], command="run")

    assert 2 == refused.exit_code
    for name in ("feishu.app_id", "feishu.app_secret", "payouts.secret", "webhook.encrypt_key"):
        assert f"{name}: holds ${{" in refused.output


def test_the_configuration_is_right() -> None:
    environment = {
        "PGPASSWORD": "x",
        "NOTIFIER_REPLICA__NAME": "a",
        "NOTIFIER_HEALTH__LISTEN": "0.0.0.0:8080",
    }

    complete = check(f"{FOLDER}/config.yaml", environment)

    assert 0 == complete.exit_code, complete.output
    assert "postgres.example.invalid" in complete.output


def test_the_ports_that_the_configuration_proposes_are_those_of_the_pod() -> None:
    text = read(f"{FOLDER}/config.yaml")
    ports = {
        each["name"]: each["containerPort"]
        for each in _container(_find(load_manifests(), "Deployment"))["ports"]
    }
    proposed = "\n".join(
        line.removeprefix("# ")
        for line in text.splitlines()
        if line.startswith(("# webhook:", "# payouts:", "#   listen"))
    )
    [document] = read_yaml(proposed)

    assert {name: f"0.0.0.0:{ports[name]}" for name in ("webhook", "payouts")} == {
        name: section["listen"] for name, section in document.items()
    }


def test_the_pod_may_reach_feishu_the_database_and_dns_and_no_other_machine_of_the_cluster() -> None:
    rules = _find(load_manifests(), "NetworkPolicy")["spec"]["egress"]
    ports = [{port["port"] for port in rule["ports"]} for rule in rules]
    [public] = [rule for rule in rules if rule["ports"][0]["port"] == 443]

    assert [{53}, {443}, {5432}] == ports
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} == set(
        public["to"][0]["ipBlock"]["except"]
    )


def test_kustomize_renders_the_folder() -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        skip_or_fail("kubectl", "there is no kubectl, which has kustomize")
    rendered = subprocess.run(
        [kubectl, "kustomize", str(DEPLOY / FOLDER)], capture_output=True, text=True, check=True, timeout=60
    )
    manifests = read_yaml(rendered.stdout)

    [config] = [each for each in manifests if each["kind"] == "ConfigMap"]
    assert [] == find_faults([each for each in manifests if each is not config])
    assert read(f"{FOLDER}/config.yaml") == config["data"]["config.yaml"]
    assert config["metadata"]["name"] in [value for _, value in walk(_pod(manifests))]
    assert (
        f"registry.example.com/notifier:{notifier.__version__}" == _pod(manifests)["containers"][0]["image"]
    )
