"""Every value does something, and what is no value is refused."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import chart
from chart import CHART, Refused, Values, text

# What the schema has for charts that depend on this one, and this one does not read.
FOR_PARENTS = {"global", "enabled"}
# Where most of what depends on something else takes effect comes first.
FIRST = ["everything.yaml", "gateway.yaml", "eks-pod-identity.yaml"]
CASES = sorted(chart.CASES, key=lambda case: FIRST.count(case.name), reverse=True)

Schema = dict[str, Any]


def leaves(schema: Schema, default: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Schema, Any]]:
    """The path, schema and default of each value that holds no others."""
    if "properties" not in schema:
        yield ".".join(path), schema, default
        return
    for key, below in schema["properties"].items():
        if path or key not in FOR_PARENTS:
            yield from leaves(below, default[key], (*path, key))


def others(schema: Schema, default: Any) -> list[Any]:
    """Valid values, one of which at least is not what a case has."""
    if schema.get("type") == "boolean":
        return [True, False]
    return [value for value in schema.get("enum", schema.get("examples", [])) if value != default]


LEAVES = list(leaves(chart.schema(), chart.defaults()))
_rendered: dict[str, str] = {}


def rendered(case: Any) -> str:
    return _rendered.setdefault(case.name, text(case))


@pytest.mark.parametrize("path, schema, default", LEAVES, ids=[path for path, _, _ in LEAVES])
def test_every_value_changes_what_is_rendered_or_is_refused(path: str, schema: Schema, default: Any) -> None:
    assert others(schema, default), f"values.schema.json has no example of {path} other than its default"

    def matters(case: Any, value: Any) -> bool:
        try:
            return text(case, values={path: value}) != rendered(case)
        except Refused as refused:
            assert "specifications of the schema" not in str(refused), f"the example of {path} is not valid: {refused}"
            return True

    assert any(matters(case, value) for value in others(schema, default) for case in CASES), f"{path} changes nothing in any of ci/"


def test_the_schema_has_the_keys_of_the_values_and_explains_each() -> None:
    def keys(values: Values) -> dict[str, Any]:
        return {key: keys(value) if isinstance(value, dict) else None for key, value in values.items()}

    def explained(schema: Schema, default: Any, path: str = "") -> dict[str, Any] | None:
        assert schema.get("description"), f"{path} has no description"
        if "properties" not in schema:
            # Of a map that is free the schema knows no keys.
            return keys(default) if isinstance(default, dict) else None
        assert schema["additionalProperties"] is False, f"{path} takes anything"
        return {
            key: explained(below, default.get(key), f"{path}.{key}")
            for key, below in schema["properties"].items()
            if path or key not in FOR_PARENTS
        }

    assert explained(chart.schema(), chart.defaults()) == keys(chart.defaults())


def test_every_misspelt_key_is_refused() -> None:
    keys: list[tuple[str, str]] = []

    def misspelt(schema: Schema, path: str = "") -> Values:
        """Values with each key of the schema, misspelt."""
        values: Values = {}
        for key, below in schema["properties"].items():
            keys.append((path, f"{key}x"))
            values[f"{key}x"] = 0
            if "properties" in below:
                values[key] = misspelt(below, f"{path}/{key}")
        return values

    with pytest.raises(Refused) as refused:
        text(CHART / "ci" / "minimal.yaml", values=misspelt(chart.schema()))
    complaints = dict(re.findall(r"- at '(.*?)': additional properties (.*) not allowed", str(refused.value)))
    assert len(keys) > 100
    assert [f"{path}/{key}" for path, key in keys if f"'{key}'" not in complaints.get(path, "")] == []


def test_it_can_be_a_part_of_another_chart(tmp_path: Path) -> None:
    (tmp_path / "Chart.yaml").write_text(
        "{apiVersion: v2, name: platform, version: 1.0.0, dependencies: [{name: tenantry, version: '*', condition: tenantry.enabled}]}"
    )
    shutil.copytree(CHART, tmp_path / "charts" / "tenantry")
    given = yaml.safe_load((CHART / "ci" / "minimal.yaml").read_text())

    def rendered(enabled: bool) -> list[chart.Manifest]:
        (tmp_path / "values.yaml").write_text(yaml.safe_dump({"global": {"region": "eu"}, "tenantry": {**given, "enabled": enabled}}))
        return chart.render(chart=tmp_path)

    assert len(rendered(True)) > 10 and rendered(False) == []


def test_a_text_may_have_several_manifests_or_none() -> None:
    several = """
# Not one yet.
--- # the first
apiVersion: v1
kind: ConfigMap
metadata: {name: first}
data:
  text: |
    ---
    of the first
---
{{- if .Values.readOnly }}
apiVersion: v1
kind: ConfigMap
metadata: {name: only-where-it-reads}
{{- end }}
--- {apiVersion: v1, kind: ConfigMap, metadata: {name: second}, data: {number: 12345678}}
...
"""
    manifests = chart.render(CHART / "ci" / "minimal.yaml", values={"extraObjects": [several, "{{- /* nothing */ -}}", OTHER]})
    configs = [manifest for manifest in manifests if manifest["kind"] == "ConfigMap"]
    assert [config["metadata"]["name"] for config in configs] == ["first", "second", "other"]
    assert [config.get("data") for config in configs] == [{"text": "---\nof the first\n"}, {"number": 12345678}, None]


def test_where_the_chart_and_a_value_say_the_same_the_value_wins() -> None:
    given = {
        "podAnnotations": {"kubectl.kubernetes.io/default-container": "other"},
        "commonLabels": {"release": "of-all"},
        "metrics.serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    }
    manifests = chart.render(CHART / "ci" / "minimal.yaml", values=given)
    (deployment,), (monitor,) = (chart.of_kind(manifests, kind) for kind in ("Deployment", "ServiceMonitor"))
    assert deployment["spec"]["template"]["metadata"]["annotations"] == given["podAnnotations"]
    assert (deployment["metadata"]["labels"]["release"], monitor["metadata"]["labels"]["release"]) == ("of-all", "prometheus")


def environment(manifests: list[chart.Manifest]) -> dict[str, Any]:
    (deployment,) = chart.of_kind(manifests, "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {variable["name"]: variable.get("value", variable.get("valueFrom")) for variable in container["env"]}


def test_what_is_said_of_the_way_to_aws_reaches_the_operator_and_is_let_out() -> None:
    given = {
        "proxy": {"https": "http://proxy.example.com:3128", "http": "https://proxy.example.com", "except": "10.0.0.0/8"},
        "authorities.configMap": "authorities",
        "aws": {"region": "eusc-de-east-1", "fipsEndpoints": True, "dualStackEndpoints": True},
    }
    manifests = chart.render(CHART / "ci" / "minimal.yaml", values=given)
    expected = {
        "HTTPS_PROXY": "http://proxy.example.com:3128", "HTTP_PROXY": "https://proxy.example.com", "NO_PROXY": "10.0.0.0/8",
        "AWS_CA_BUNDLE": "/etc/tenantry/authorities/ca.crt", "AWS_REGION": "eusc-de-east-1",
        "AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "true",
    }  # fmt: skip
    assert expected.items() <= environment(manifests).items()
    (deployment,), (policy,) = (chart.of_kind(manifests, kind) for kind in ("Deployment", "NetworkPolicy"))
    pod = deployment["spec"]["template"]["spec"]
    assert pod["volumes"] == [{"name": "authorities", "configMap": {"name": "authorities", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}]
    assert pod["containers"][0]["volumeMounts"] == [{"name": "authorities", "mountPath": "/etc/tenantry/authorities", "readOnly": True}]
    assert ports_of(policy, anywhere=True) == {53, 443, 6443} and ports_of(policy, anywhere=False) == {80, 3128}
    plain = environment(chart.render(CHART / "ci" / "minimal.yaml"))
    assert not [name for name in plain if "PROXY" in name or name in ("AWS_CA_BUNDLE", "AWS_USE_FIPS_ENDPOINT")]


def ports_of(policy: chart.Manifest, *, anywhere: bool) -> set[int]:
    """The ports that lead out, to any address or to those that a rule names."""
    return {port["port"] for rule in policy["spec"]["egress"] if ("to" not in rule) == anywhere for port in rule["ports"]}


@pytest.mark.parametrize(
    "given, elsewhere",
    [
        ({"proxy.https": "http://proxy.example.com"}, {80}),
        ({"proxy.http": "http://proxy.example.com:80/", "proxy.https": "http://proxy.example.com:3128"}, {80, 3128}),
        ({"networkPolicy.egressPorts": [443, 80]}, {80}),
        ({"networkPolicy.egressPorts": [80], "proxy.https": "https://proxy.example.com"}, {80, 443}),
        ({"networkPolicy.egressPorts": []}, set()),
    ],
    ids=str,
)
def test_no_port_leads_to_the_metadata_of_the_node(given: Values, elsewhere: set[int]) -> None:
    (policy,) = chart.of_kind(chart.render(CHART / "ci" / "minimal.yaml", values=given), "NetworkPolicy")
    assert 80 not in ports_of(policy, anywhere=True)
    closed = [
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}},
        {"ipBlock": {"cidr": "::/0", "except": ["fd00:ec2::/32"]}},
    ]
    agent = [{"ipBlock": {"cidr": "169.254.170.23/32"}}, {"ipBlock": {"cidr": "fd00:ec2::23/128"}}]
    rules = [rule for rule in policy["spec"]["egress"] if "to" in rule]
    assert [rule["to"] for rule in rules] == [closed, agent][0 if elsewhere else 1 :]
    assert {port["port"] for rule in rules[:-1] for port in rule["ports"]} == elsewhere
    # A rule without ports would let out to all of them.
    assert all(rule["ports"] for rule in policy["spec"]["egress"])


def test_a_proxy_with_a_password_comes_from_a_secret() -> None:
    secret = {"secretKeyRef": {"name": "proxy", "key": "url"}}
    manifests = chart.render(CHART / "ci" / "minimal.yaml", values={"extraEnv": [{"name": "HTTPS_PROXY", "valueFrom": secret}]})
    assert environment(manifests)["HTTPS_PROXY"] == secret


def test_without_its_definitions_the_chart_says_so(tmp_path: Path) -> None:
    """As where Git makes of a symbolic link a file that says where it leads."""
    incomplete = shutil.copytree(CHART, tmp_path / "tenantry", ignore=shutil.ignore_patterns("crds"))
    (incomplete / "files" / "crds").write_text("../../../crds")
    with pytest.raises(Refused, match="the chart is incomplete: its files/crds"):
        text(CHART / "ci" / "minimal.yaml", chart=incomplete)
    text(CHART / "ci" / "minimal.yaml", values={"crds.enabled": False}, chart=incomplete)


OTHER = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}}
TENANT = {"apiVersion": "tenantry.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": "acme"}}
LIST = {"apiVersion": "v1", "kind": "List", "items": [TENANT]}


@pytest.mark.parametrize(
    "values, complaint",
    [
        ({"installation": ""}, "installation is not set"),
        ({"serviceAccount.create": False, "serviceAccount.name": ""}, "serviceAccount.name is not set"),
        ({"serviceAccount.create": False, "serviceAccount.name": "default"}, "serviceAccount.name is .default."),
        ({"serviceAccount.name": "default"}, "serviceAccount.name is .default."),
        ({"installation": "Prod"}, "installation is .Prod., and must be one to eight lower-case letters"),
        ({"installation": "production"}, "one to eight lower-case letters and digits, beginning with a letter"),
        ({"image.repository": ""}, "image.repository is not set"),
        ({"permissionsBoundary": ""}, "set allowRolesWithoutBoundary=true"),
        ({"permissionsBoundary": "tenantry-boundary"}, "must be the ARN of a policy"),
        ({"permissionsBoundary": "arn:aws:iam::111122223333:role/no-policy"}, "must be the ARN of a policy"),
        ({"allowRolesWithoutBoundary": True}, "contradict one another"),
        ({"leaderElection.enabled": False}, "two operators would do everything twice"),
        ({"leaderElection.leaseDurationSeconds": 10}, "leaseDurationSeconds must be greater"),
        ({"leaderElection.retryPeriodSeconds": 9}, "1.2 times retryPeriodSeconds"),
        ({"podDisruptionBudget.maxUnavailable": None}, "takes one of"),
        ({"metrics.enabled": False, "metrics.podMonitor.enabled": True}, "need metrics.enabled"),
        ({"metrics.serviceMonitor.enabled": True, "metrics.podMonitor.enabled": True}, "scrape everything twice"),
        ({"metrics.serviceMonitor.enabled": True, "metrics.service.enabled": False}, "needs metrics.service.enabled"),
        ({"metrics.enabled": False, "metrics.prometheusRule.enabled": True}, "need metrics.enabled"),
        ({"metrics.enabled": False, "metrics.dashboard.enabled": True}, "need metrics.enabled"),
        ({"metrics.prometheusRule.without": ["TenantryAbsnt"]}, "has TenantryAbsnt, which is no alert: there are TenantryAbsent, "),
        ({"metrics.prometheusRule.alertLabels": {"severity": "page"}}, "each alert has its own"),
        ({"metrics.prometheusRule.matchers": "job=tenantry"}, "must be matchers of labels, such as"),
        ({"metrics.prometheusRule.matchers": '{job="tenantry"}'}, "must be matchers of labels, such as"),
        ({"metrics.prometheusRule.runbookUrl": "docs/alerts.md"}, "must be the address of the page"),
        ({"metrics.port": 8081}, "must differ"),
        ({"crds.keep": False}, "the definitions must not be deleted"),
        ({"pace": "101%"}, "pace is .101%., and must be a whole percentage"),
        ({"pace": 0.8}, "pace is .0.8., and must be a whole percentage"),
        ({"pace": 0}, "must be a whole percentage"),
        ({"siloNamespaces": "premium"}, "must be labels, such as tier=premium"),
        ({"registry": "mytable"}, "registry is .mytable., and must be dynamodb:<table>"),
        ({"installationBucket": "Not_A_Bucket"}, "must be a bucket's name"),
        ({"aws.region": "eu-central-1a"}, "must be a region, such as eu-central-1"),
        ({"aws.endpointUrl": "aws.example.com"}, "must be a URL that begins with"),
        ({"takeOver": "other-cluster"}, "must be the uid of a kube-system namespace"),
        ({"image.digest": "sha256:1"}, "must be sha256: and 64 hexadecimal digits"),
        ({"bindAddress": "::"}, r"must be an address, such as 0.0.0.0 or \[::\]"),
        ({"metrics.serviceMonitor.interval": "30"}, "such as 30s"),
        ({"proxy.https": "proxy.example.com:3128"}, "must be a proxy's URL without a user"),
        ({"proxy.https": "http://me:secret@proxy.example.com:3128"}, "belongs into a Secret, and as HTTPS_PROXY into extraEnv"),
        ({"aws": {"endpointUrl": "https://aws.example.com", "fipsEndpoints": True}}, "aws.endpointUrl contradicts aws.fipsEndpoints"),
        ({"authorities.key": "../ca.crt"}, "must be a key of the ConfigMap"),
        ({"extraEnv": [{"name": "AWS_USE_FIPS_ENDPOINT", "value": True}]}, "/extraEnv/0/value.*got boolean, want string"),
        ({"extraEnv": [{"name": "WORKERS", "value": 2}]}, "/extraEnv/0/value.*got number, want string"),
        ({"extraEnv": [{"value": "x"}]}, "/extraEnv/0.*missing property .name."),
        ({"tolerations": [{"key": "x", "value": True}]}, "/tolerations/0/value.*got boolean, want string"),
        ({"metrics.serviceMonitor.relabelings": [{"targetLabel": "shard", "replacement": 1}]}, "/relabelings/0/replacement.*got number, want string"),
        ({"enabled": True}, "enabled is for charts that depend on this one"),
        ({"commonLabels": {"team": "rag", "helm.sh/chart": "other"}}, "commonLabels has helm.sh/chart"),
        ({"podLabels": {"app.kubernetes.io/name": "other"}}, "podLabels has app.kubernetes.io/name"),
        ({"metrics.serviceMonitor.labels": {"app.kubernetes.io/name": "other"}}, "metrics.serviceMonitor.labels has app.kubernetes.io/name"),
        ({"metrics.podMonitor.labels": {"app.kubernetes.io/name": "other"}}, "metrics.podMonitor.labels has app.kubernetes.io/name"),
        ({"metrics.prometheusRule.labels": {"app.kubernetes.io/name": "other"}}, "metrics.prometheusRule.labels has app.kubernetes.io/name"),
        ({"metrics.dashboard.labels": {"helm.sh/chart": "other"}}, "metrics.dashboard.labels has helm.sh/chart"),
        ({"extraObjects": [TENANT]}, r'extraObjects\[0\] is the Tenant "acme".* a release of its own'),
        ({"extraObjects": [OTHER, f"{yaml.safe_dump(OTHER)}---\n{yaml.safe_dump(TENANT)}"]}, r'extraObjects\[1\] is the Tenant "acme"'),
        ({"extraObjects": [LIST]}, r"extraObjects\[0\] is a List: give each of its items"),
        ({"extraObjects": [yaml.safe_dump(LIST)]}, r"extraObjects\[0\] is a List: give each of its items"),
        ({"extraObjects": ["kind: ConfigMap\n  metadata: {}"]}, r"extraObjects\[0\] is not YAML of a manifest: .*line 2"),
        ({"extraObjects": ["just words"]}, r"extraObjects\[0\] is not YAML of a manifest"),
        ({"extraObjects": [{"kind": "ConfigMap"}]}, r"extraObjects\[0\] has a document without apiVersion or kind"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(values: Values, complaint: str) -> None:
    with pytest.raises(Refused, match=complaint):
        text(CHART / "ci" / "minimal.yaml", values=values)
