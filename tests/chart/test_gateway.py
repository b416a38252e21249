"""What the chart brings for the gateway: selectors, certificates that are kept, and rights to ask that people can give."""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import chart
from chart import CHART, NAMESPACE, RELEASE, Manifest, Refused, Values, of_kind, render, text
from cluster import Cluster, Denied

GATEWAY = f"{RELEASE}-gateway"
LEAST = {"gateway.enabled": True, "gateway.askRole": "arn:aws:iam::111122223333:role/tenantry-ask"}
MINIMAL = CHART / "ci" / "minimal.yaml"
WITH_SECRET = CHART / "ci" / "gateway-secret.yaml"


def named(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    (found,) = [it for it in of_kind(manifests, kind) if it["metadata"]["name"] == name]
    return found


# -- What is rendered


def test_without_it_nothing_of_it_is_rendered() -> None:
    # A class has a part that only the gateway looks at, whether there is one or not.
    assert "gateway" not in text(MINIMAL, values={"crds.enabled": False})


@pytest.mark.parametrize("case", [WITH_SECRET, CHART / "ci" / "gateway.yaml"], ids=lambda case: case.stem)
def test_no_selector_finds_the_pods_of_both(case: Path) -> None:
    manifests = render(case, values={"metrics.podMonitor.enabled": True})
    pods = {it["metadata"]["name"]: it["spec"]["template"]["metadata"]["labels"] for it in of_kind(manifests, "Deployment")}
    assert pods.keys() == {RELEASE, GATEWAY}

    def chosen(manifest: Manifest) -> list[str]:
        spec = manifest["spec"]
        selector = spec.get("selector") or spec.get("podSelector")
        wanted = selector.get("matchLabels", selector)
        return [name for name, labels in pods.items() if wanted.items() <= labels.items()]

    kinds = ("Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget", "PodMonitor")
    for kind in kinds:
        for manifest in of_kind(manifests, kind):
            name = manifest["metadata"]["name"].removesuffix("-metrics")
            assert chosen(manifest) == [name], f"{kind} {name}"
    spread = named(manifests, "Deployment", GATEWAY)["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert all(it["labelSelector"]["matchLabels"].items() <= pods[GATEWAY].items() for it in spread)


def test_names_stay_within_what_the_api_server_takes() -> None:
    manifests = render(WITH_SECRET, values={"fullnameOverride": "x" * 60, "nameOverride": "y" * 63})
    services = of_kind(manifests, "Service")
    assert len(services) == 3 and all(len(it["metadata"]["name"]) <= 63 for it in services)
    for manifest in manifests:
        assert all(len(value) <= 63 for value in manifest["metadata"].get("labels", {}).values())


def ingress(values: Values) -> dict[str, Any]:
    """Who is let in, by the port's name; None is everybody."""
    policy = named(render(WITH_SECRET, values=values), "NetworkPolicy", GATEWAY)
    return {rule["ports"][0]["port"]: rule.get("from") for rule in policy["spec"]["ingress"]}


def test_who_is_let_in_is_who_is_named() -> None:
    label = {"matchLabels": {"tenantry.dev/gateway": "allowed"}}
    assert ingress({}) == {"health": None, "questions": [{"namespaceSelector": label}]}
    everybody = [{"namespaceSelector": {}}]
    assert ingress({"gateway.networkPolicy.from": everybody})["questions"] == everybody
    # A rule with an empty list would let in everybody.
    assert ingress({"gateway.networkPolicy.from": []}) == {"health": None}
    assert ingress({"networkPolicy.metricsFrom": everybody})["metrics"] == everybody


def test_it_is_let_out_where_the_operator_is() -> None:
    manifests = render(WITH_SECRET, values={"proxy.https": "http://proxy.example.com:3128"})
    both = [named(manifests, "NetworkPolicy", name)["spec"]["egress"] for name in (RELEASE, GATEWAY)]
    assert both[0] == both[1]


def test_its_certificate_is_mounted_and_nothing_else_of_the_secret() -> None:
    pod = named(render(WITH_SECRET), "Deployment", GATEWAY)["spec"]["template"]["spec"]
    (volume,) = pod["volumes"]
    assert volume["secret"]["secretName"] == "gateway-tls"
    assert [item["key"] for item in volume["secret"]["items"]] == ["tls.crt", "tls.key"]
    (mount,) = pod["containers"][0]["volumeMounts"]
    assert f"--tls-cert-dir={mount['mountPath']}" in pod["containers"][0]["args"]
    plain = named(render(MINIMAL, values=LEAST | {"gateway.tls.plaintext": True}), "Deployment", GATEWAY)["spec"]["template"]["spec"]
    assert "--plaintext" in plain["containers"][0]["args"] and "volumes" not in plain and "volumeMounts" not in plain["containers"][0]


def test_the_authority_is_published_where_it_is_told() -> None:
    manifests = render(CHART / "ci" / "gateway.yaml")
    configs = [it for it in of_kind(manifests, "ConfigMap") if it["metadata"]["name"] == f"{GATEWAY}-ca"]
    assert [it["metadata"]["namespace"] for it in configs] == [NAMESPACE, "shop", "web"]
    assert len({it["data"]["ca.crt"] for it in configs}) == 1


def test_what_only_renders_makes_no_authority() -> None:
    """It would be another one each time, as for Argo CD."""
    with pytest.raises(Refused, match="does not see the cluster.*Name gateway.tls.secret or gateway.tls.issuerRef.name"):
        text(MINIMAL, values=LEAST)
    for case in (WITH_SECRET, CHART / "ci" / "gateway.yaml"):
        assert text(case) == text(case)
        assert not of_kind(render(case), "Secret")


ISSUER = {"url": "https://login.example.com", "audience": "rag", "claim": "tenant"}
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    "values, complaint",
    [
        ({"gateway.askRole": ""}, "gateway.askRole is not set"),
        ({"gateway.askRole": "tenantry-ask"}, "gateway.askRole is .tenantry-ask., and must be the ARN of a role"),
        ({"gateway.audience": "a b"}, "gateway.audience is .a b., and must be an audience"),
        ({"gateway.pace": "120%"}, "gateway.pace is .120%., and must be a whole percentage"),
        ({"gateway.accessLog": "access.log"}, "gateway.accessLog is .access.log., and must be - for"),
        ({"gateway.accessLog": ""}, "gateway.accessLog is not set"),
        ({"gateway.issuers": [ISSUER | {"url": "http://login.example.com"}]}, r"gateway.issuers\[0\].url is .* begins with https://"),
        ({"gateway.issuers": [ISSUER | {"claim": "a,b"}]}, r"gateway.issuers\[0\].claim is .a,b., and must be a word"),
        ({"gateway.issuers": [{"url": "https://a.example", "claim": "a"}]}, "/gateway/issuers/0.*missing property .audience."),
        ({"gateway.issuers": [ISSUER | {"authorities": {"configMap": "x", "key": "../y"}}]}, "must be a key of the ConfigMap"),
        ({"gateway.tls.plaintext": True}, "gateway.tls.plaintext and gateway.tls.secret contradict one another"),
        ({"gateway.tls.issuerRef.name": "internal"}, "gateway.tls.issuerRef.name and gateway.tls.secret contradict"),
        ({"gateway.tls.authority": "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----"}, "a private key does not belong here"),
        ({"gateway.tls.publishIn": ["shop"]}, "gateway.tls.publishIn has nothing to publish"),
        ({"gateway.tls": {"plaintext": True, "authority": PEM}}, "gateway.tls.authority is for gateway.tls.secret"),
        ({"gateway.serviceAccount.create": False}, "gateway.serviceAccount.name is not set"),
        ({"gateway.serviceAccount.name": "default"}, "gateway.serviceAccount.name is .default."),
        ({"gateway.serviceAccount.name": RELEASE}, "gateway.serviceAccount.name is .tenantry.: the gateway's rights"),
        ({"gateway.podDisruptionBudget.maxUnavailable": None}, "gateway.podDisruptionBudget takes one of"),
        ({"gateway.port": 8081}, "gateway.port, health.port and metrics.port must differ"),
        ({"gateway.podLabels": {"app.kubernetes.io/name": "other"}}, "gateway.podLabels has app.kubernetes.io/name"),
        ({"gateway.tls.days": 1}, "/gateway/tls/days.*minimum"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(values: Values, complaint: str) -> None:
    base = {} if not isinstance(values.get("gateway.tls"), dict) else {"gateway.tls.secret": ""}
    with pytest.raises(Refused, match=complaint):
        text(WITH_SECRET, values=base | values)


# -- On a real API server


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Iterator[Cluster]:
    """A release with a gateway whose certificate Helm makes. Nobody runs its pods here."""
    for namespace in ("shop", "tenants"):
        cluster.kubectl("create", "namespace", namespace)
    cluster.helm("install", RELEASE, CHART, "--create-namespace", *given({"gateway.tls.publishIn": ["shop"]}))
    yield cluster
    cluster.helm("uninstall", RELEASE, "--namespace", NAMESPACE)


def given(values: Values | None = None) -> list[Any]:
    on_top = LEAST | {"gateway.tls.publishIn": ["shop"]} | (values or {})
    return ["--namespace", NAMESPACE, "--values", MINIMAL, *(f"--set-json={key}={json.dumps(value)}" for key, value in on_top.items())]


def pem(cluster: Cluster, secret: str, key: str = "tls.crt") -> str:
    return base64.b64decode(cluster.get("secret", secret, f"--namespace={NAMESPACE}")["data"][key]).decode()


def published(cluster: Cluster, namespace: str = NAMESPACE) -> str:
    return cluster.get("configmap", f"{GATEWAY}-ca", f"--namespace={namespace}")["data"]["ca.crt"]


def verifies(directory: Path, certificate: str, key: str, authority: str, name: str) -> None:
    """A client that trusts the authority alone, and is as strict as the newest Pythons, takes it for this name."""
    files = {file: directory / file for file in ("tls.crt", "tls.key")}
    files["tls.crt"].write_text(certificate)
    files["tls.key"].write_text(key)
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cadata=authority)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    server.load_cert_chain(files["tls.crt"], files["tls.key"])
    ends = [ssl.MemoryBIO() for _ in range(2)]
    sides = [client.wrap_bio(ends[0], ends[1], server_hostname=name), server.wrap_bio(ends[1], ends[0], server_side=True)]
    for _ in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
    assert sides[0].version() == "TLSv1.3" and sides[0].getpeercert()


def test_a_certificate_of_helms_is_kept_and_renewed_in_time(installed: Cluster, tmp_path: Path) -> None:
    def state() -> tuple[str, str]:
        return pem(installed, f"{GATEWAY}-authority"), pem(installed, f"{GATEWAY}-tls")

    def upgraded(values: Values | None = None, *options: str) -> tuple[str, str]:
        installed.helm("upgrade", RELEASE, CHART, *given(values), *options)
        return state()

    def is_good_for(name: str) -> None:
        verifies(tmp_path, pem(installed, f"{GATEWAY}-tls"), pem(installed, f"{GATEWAY}-tls", "tls.key"), published(installed), name)

    authority, certificate = state()
    assert published(installed).strip() == published(installed, "shop").strip() == authority.strip()
    for name in (GATEWAY, f"{GATEWAY}.{NAMESPACE}.svc", f"{GATEWAY}.{NAMESPACE}.svc.cluster.local"):
        is_good_for(name)
    with pytest.raises(ssl.SSLCertVerificationError):
        is_good_for("rag.example.com")
    assert upgraded() == (authority, certificate)
    # What it was made for has changed: another certificate, of the same authority.
    same, other = upgraded({"gateway.tls.dnsNames": ["rag.example.com"]})
    assert same == authority and other != certificate
    is_good_for("rag.example.com")
    # More than half of its time is over.
    aged = {"metadata": {"annotations": {"tenantry.dev/made-at": str(int(time.time()) - 370 * 86400)}}}
    installed.kubectl("patch", "secret", f"{GATEWAY}-tls", f"--namespace={NAMESPACE}", "--type=merge", "--patch", json.dumps(aged))
    same, renewed = upgraded({"gateway.tls.dnsNames": ["rag.example.com"]}, "--force-conflicts")
    assert same == authority and renewed != other
    made = installed.get("secret", f"{GATEWAY}-tls", f"--namespace={NAMESPACE}")["metadata"]["annotations"]["tenantry.dev/made-at"]
    assert abs(int(made) - time.time()) < 600
    # A look at what an upgrade would do shows the same.
    dry = installed.helm("upgrade", RELEASE, CHART, *given({"gateway.tls.dnsNames": ["rag.example.com"]}), "--dry-run=server", "--hide-notes")
    assert base64.b64encode(renewed.encode()).decode() in dry
    with pytest.raises(Refused, match="does not see the cluster"):
        installed.helm("upgrade", RELEASE, CHART, *given(), "--dry-run=client")
    # The key of the authority is in no pod.
    mounted = json.dumps(installed.get("deployments", f"--namespace={NAMESPACE}"))
    assert f"{GATEWAY}-tls" in mounted and f"{GATEWAY}-authority" not in mounted


def may(cluster: Cluster, account: str, verb: str, what: str, namespace: str) -> bool:
    try:
        return cluster.kubectl("auth", "can-i", verb, what, f"--namespace={namespace}", f"--as={account}").strip() == "yes"
    except Denied as denied:
        # kubectl ends with 1 where the answer is no, and knows no verb of ours.
        assert str(denied) in ("", f"Warning: verb '{verb}' is not a known verb"), str(denied)
        return False


def bound(name: str, role: str, subject: dict[str, str], namespace: str) -> Manifest:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}, "subjects": [subject],
    }  # fmt: skip


def user(name: str) -> dict[str, str]:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}


def test_an_admin_of_a_namespace_gives_the_right_to_ask_and_nobody_has_it_by_a_role_of_every_cluster(installed: Cluster) -> None:
    roles = ("view", "edit", "admin")
    installed.kubectl("apply", manifests=[bound(f"{role}s", role, user(role), "tenants") for role in roles])
    web = {"kind": "ServiceAccount", "name": "web", "namespace": "shop"}
    asks = bound("web-asks", f"{RELEASE}-ask", web, "tenants")

    def binds(person: str, binding: Manifest) -> bool:
        try:
            installed.kubectl("apply", f"--as={person}", manifests=[binding])
            return True
        except Denied as denied:
            assert "forbidden" in str(denied).lower(), str(denied)
            return False

    installed.eventually("the role admin may bind", lambda: may(installed, "admin", "bind", f"clusterroles/{RELEASE}-ask", "tenants"))
    for role in roles:
        assert not may(installed, role, "ask", "tenants.tenantry.dev/acme", "tenants")
    account = "system:serviceaccount:shop:web"
    assert not may(installed, account, "ask", "tenants.tenantry.dev/acme", "tenants")
    assert not binds("edit", asks) and binds("admin", asks)
    installed.eventually("web may ask", lambda: may(installed, account, "ask", "tenants.tenantry.dev/acme", "tenants"))
    assert not may(installed, account, "get", "tenants.tenantry.dev/acme", "tenants")
    assert not may(installed, account, "ask", "tenants.tenantry.dev/acme", "shop")
    # It may bind that role, and no other.
    assert not binds("admin", bound("gateway", GATEWAY, web, "tenants"))
    assert not binds("admin", asks | {"metadata": {"name": "web-asks", "namespace": "shop"}})


def test_the_examples_of_the_gateway_are_taken(installed: Cluster) -> None:
    files = [chart.ROOT / "examples" / "gateway" / f"{file}.yaml" for file in ("rights", "pod")]
    examples = [document for file in files for document in yaml.safe_load_all(file.read_text())]
    installed.kubectl("create", "serviceaccount", "web", "--namespace=shop")
    installed.kubectl("apply", manifests=examples)
    assert may(installed, "system:serviceaccount:shop:web", "ask", "tenants.tenantry.dev/acme", "tenants")
    (pod,) = of_kind(examples, "Pod")
    environment = {it["name"]: it["value"] for it in pod["spec"]["containers"][0]["env"]}
    url = f"https://{GATEWAY}.{NAMESPACE}.svc"
    assert environment["AWS_ENDPOINT_URL_STS"] == environment["AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME"] == url
    volumes = {it["name"]: it for it in pod["spec"]["volumes"]}
    token, authority = volumes["token"]["projected"]["sources"][0]["serviceAccountToken"], volumes["authority"]["configMap"]
    assert token["audience"] == chart.defaults()["gateway"]["audience"] and authority["name"] == f"{GATEWAY}-ca"
