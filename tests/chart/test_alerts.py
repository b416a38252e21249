"""The chart's alerts speak of metrics that there are, fire when they should, and each says what to do."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from promql_parser import parse_duration

import chart
import monitoring
import recording
from chart import CHART, ROOT, of_kind, render
from monitoring import Rule
from promql import Recording, Vector, grouped_by, selectors, value

RULES = {rule["alert"]: rule for rule in monitoring.rules()}
SERIES = {name: labels for metric in monitoring.metrics() for name, labels in metric.series.items()}
EXPRESSIONS = {alert: rule["expr"] for alert, rule in RULES.items()} | monitoring.targets()
MINUTE = 60.0

each_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_every_metric_and_label_that_is_named_is_one(expression: str) -> None:
    assert len(SERIES) > 30
    used = selectors(expression)
    assert used, "it looks at no metric"
    for selector in used:
        assert selector.name in SERIES, f"there is no metric {selector.name}"
        named = {matcher.name for matcher in selector.matchers.matchers} - {"job"}
        assert named <= SERIES[selector.name], f"{selector.name} has no label {named - SERIES[selector.name]}"
        assert not selector.name.endswith("_total") or re.search(rf"(rate|increase)\({selector.name}", expression), f"{selector.name} only grows"
    common = frozenset.intersection(*(SERIES[selector.name] for selector in used))
    assert grouped_by(expression) <= common, f"it groups by what not all of its metrics have: {grouped_by(expression) - common}"


def test_every_series_of_a_run_is_in_the_table() -> None:
    for labels in recording.read().series:
        known = dict(labels)
        name = known.pop("__name__")
        assert known.keys() <= SERIES[name], name


# -- What fires, and what does not. Series are written as Prometheus's own tests of rules have them: 1x60 is 60 minutes of 1, and
# 0+5x60 begins with 0 and is 5 more each minute. The first fires, the second does not.

CASES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "TenantryAbsent": ({}, {'tenantry_build_info{version="0.1.0"}': "1x60"}),
    "TenantryNoLeader": (
        {'leader_election_master_status{name="tenantry-prod"}': "0x60"},
        {'leader_election_master_status{name="tenantry-prod",pod="a"}': "0x60", 'leader_election_master_status{name="tenantry-prod",pod="b"}': "1x60"},
    ),
    "TenantryIdle": (
        {'tenantry_build_info{version="0.1.0"}': "1x60"},
        {'tenantry_build_info{version="0.1.0"}': "1x60", "tenantry_ingestion_job_slots{}": "5x60"},
    ),
    "TenantryRecordsLost": ({"tenantry_records_lost{}": "1x60"}, {"tenantry_records_lost{}": "0x60"}),
    "TenantryStalled": (
        {'tenantry_objects{kind="Tenant",type="Stalled",status="True",reason="Denied"}': "3x60"},
        {'tenantry_objects{kind="Tenant",type="Stalled",status="False",reason="Ready"}': "3x60"},
    ),
    "TenantryNotReady": (
        {'tenantry_objects{kind="Tenant",type="Ready",status="False",reason="StackNotFound"}': "1x90"},
        {
            'tenantry_objects{kind="Tenant",type="Ready",status="False",reason="Creating"}': "1x40 0x50",
            'tenantry_objects{kind="Tenant",type="Ready",status="False",reason="GracePeriod"}': "1x90",
        },
    ),
    "TenantryUnreadable": ({'tenantry_objects_unreadable{kind="Tenant"}': "1x60"}, {'tenantry_objects_unreadable{kind="Tenant"}': "0x60"}),
    "TenantryPausedLong": (
        {'tenantry_objects{kind="Tenant",type="Paused",status="True",reason="Paused"}': "1x1500"},
        {'tenantry_objects{kind="Tenant",type="Paused",status="True",reason="Paused"}': "1x600 0x900"},
    ),
    "TenantryDeletionBlocked": (
        {'tenantry_objects{kind="SharedStack",type="DeletionBlocked",status="True",reason="Borrowed"}': "1x60"},
        {'tenantry_objects{kind="SharedStack",type="DeletionBlocked",status="True",reason="GracePeriod"}': "1x60"},
    ),
    "TenantryDeletionOld": (
        {'tenantry_oldest_deletion_timestamp_seconds{kind="Tenant"}': "0x180"},
        {'tenantry_oldest_deletion_timestamp_seconds{kind="Tenant"}': "0x100"},
    ),
    "TenantryModelEnds": (
        {'tenantry_model_end_of_life_timestamp_seconds{model="amazon.titan-embed-text-v2:0"}': f"{80 * 86400}x120"},
        {'tenantry_model_end_of_life_timestamp_seconds{model="amazon.titan-embed-text-v2:0"}': f"{100 * 86400}x120"},
    ),
    "TenantryReconcileErrors": (
        {
            'controller_runtime_reconcile_errors_total{controller="tenant"}': "0+2x60",
            'controller_runtime_reconcile_total{controller="tenant",result="error"}': "0+2x60",
            'controller_runtime_reconcile_total{controller="tenant",result="requeue_after"}': "0+10x60",
        },
        {
            'controller_runtime_reconcile_errors_total{controller="tenant"}': "0+1x60",
            'controller_runtime_reconcile_total{controller="tenant",result="requeue_after"}': "0+20x60",
        },
    ),
    "TenantryQueueGrows": ({'workqueue_depth{name="tenant"}': "10+1x90"}, {'workqueue_depth{name="tenant"}': "500+-5x90"}),
    "TenantryApiServerFails": (
        {'rest_client_requests_total{code="<error>",method="GET"}': "0+1x60", 'rest_client_requests_total{code="200",method="GET"}': "0+9x60"},
        {'rest_client_requests_total{code="409",method="PATCH"}': "0+1x60", 'rest_client_requests_total{code="200",method="GET"}': "0+9x60"},
    ),
    "TenantryAwsFails": (
        {
            'tenantry_aws_requests_total{service="s3",operation="PutObject",code="503"}': "0+2x60",
            'tenantry_aws_requests_total{service="s3",operation="PutObject",code="OK"}': "0+8x60",
        },
        {
            'tenantry_aws_requests_total{service="s3",operation="HeadBucket",code="404"}': "0+2x60",
            'tenantry_aws_requests_total{service="s3",operation="PutObject",code="OK"}': "0+8x60",
        },
    ),
    "TenantryAwsThrottled": (
        {'tenantry_aws_requests_total{service="bedrock",operation="GetKnowledgeBase",code="ThrottlingException"}': "0+10x60"},
        {'tenantry_aws_requests_total{service="bedrock",operation="GetKnowledgeBase",code="ThrottlingException"}': "0+10x3 30x57"},
    ),
    "TenantryAwsDenied": (
        {'tenantry_aws_requests_total{service="iam",operation="CreateRole",code="AccessDenied"}': "0x5 1+0.2x60"},
        {'tenantry_aws_requests_total{service="iam",operation="CreateRole",code="AccessDenied"}': "0x5 1+0.2x10 3x45"},
    ),
    "TenantryDocumentsFailed": (
        {'tenantry_objects{kind="Tenant",type="DocumentsCurrent",status="False",reason="DocumentsFailed"}': "1x90"},
        {'tenantry_objects{kind="Tenant",type="DocumentsCurrent",status="False",reason="SyncRequested"}': "1x90"},
    ),
    "TenantryIngestionStale": (
        {'tenantry_objects{kind="SharedStack",type="DocumentsCurrent",status="False",reason="LargeDeletion"}': "1x400"},
        {'tenantry_objects{kind="SharedStack",type="DocumentsCurrent",status="False",reason="SyncRequested"}': "1x300 0x100"},
    ),
    "TenantryIngestionWaits": ({"tenantry_ingestion_longest_wait_seconds{}": "0+60x140"}, {"tenantry_ingestion_longest_wait_seconds{}": "0+60x100 0x40"}),
    "TenantryReviewStuck": (
        {'tenantry_documents_review_objects{owner="SharedStack/standard"}': "1000x60"},
        {'tenantry_documents_review_objects{owner="SharedStack/standard"}': "1000+50x60"},
    ),
    "TenantryDocumentsUnclaimed": ({'tenantry_documents_unclaimed{name="standard"}': "4x90"}, {'tenantry_documents_unclaimed{name="standard"}': "0x90"}),
    "TenantryDocumentsQuarantined": ({"tenantry_documents_quarantined_total{}": "0x30 3x10"}, {"tenantry_documents_quarantined_total{}": "3x60"}),
    "TenantrySidecarsCorrected": ({"tenantry_documents_corrected_total{}": "0x30 1x10"}, {"tenantry_documents_corrected_total{}": "1x60"}),
    "TenantryGatewayAbsent": ({}, {'tenantry_gateway_build_info{version="0.1.0"}': "1x60"}),
    "TenantryGatewayForeignPassages": (
        {'tenantry_gateway_foreign_passages_total{pattern="Pool"}': "0x30 1x10"},
        {'tenantry_gateway_foreign_passages_total{pattern="Pool"}': "0x60", 'tenantry_gateway_foreign_passages_total{pattern="Silo"}': "3x60"},
    ),
    "TenantryGatewayFails": (
        {
            'tenantry_gateway_refused_total{reason="aws_away"}': "0+1x60", 'tenantry_gateway_refused_total{reason="overloaded"}': "0+1x60",
            'tenantry_gateway_requests_total{operation="Retrieve",code="OK"}': "0+18x60",
            'tenantry_gateway_requests_total{operation="Retrieve",code="ServiceUnavailableException"}': "0+2x60",
        },
        {
            'tenantry_gateway_refused_total{reason="not_allowed"}': "0+20x60", 'tenantry_gateway_refused_total{reason="aws_away"}': "0x60",
            'tenantry_gateway_requests_total{operation="Retrieve",code="AccessDeniedException"}': "0+20x60",
        },
    ),
    "TenantryGatewayBlind": ({"tenantry_gateway_tenants_age_seconds{}": "2x10 60+60x3"}, {"tenantry_gateway_tenants_age_seconds{}": "40x60"}),
    "TenantryGatewayDenied": (
        {'tenantry_gateway_refused_total{reason="aws_denied"}': "0x5 1+1x30"},
        {'tenantry_gateway_refused_total{reason="aws_denied"}': "4x60", 'tenantry_gateway_refused_total{reason="not_allowed"}': "0+5x60"},
    ),
    "TenantryGatewayThrottled": (
        {
            'tenantry_gateway_refused_total{reason="throttled"}': "0+100x60",
            'tenantry_gateway_requests_total{operation="Retrieve",code="OK"}': "0+900x60",
            'tenantry_gateway_requests_total{operation="Retrieve",code="ThrottlingException"}': "0+100x60",
        },
        {
            'tenantry_gateway_refused_total{reason="throttled"}': "0+10x60",
            'tenantry_gateway_requests_total{operation="Retrieve",code="OK"}': "0+900x60",
        },
    ),
    "TenantryGatewayTenantTwice": (
        {'tenantry_gateway_tenants{state="twice"}': "1x60"},
        {'tenantry_gateway_tenants{state="twice"}': "0x60", 'tenantry_gateway_tenants{state="ready"}': "9x60"},
    ),
    "TenantryGatewayCertificateStale": ({"tenantry_gateway_certificate_stale{}": "1x60"}, {"tenantry_gateway_certificate_stale{}": "1x5 0x55"}),
    "TenantryGatewayCertificateEnds": (
        {"tenantry_gateway_certificate_end_timestamp_seconds{}": "1209599x200"},
        # It ends later, it was renewed in time, and without TLS there is none.
        {
            'tenantry_gateway_certificate_end_timestamp_seconds{pod="a"}': "9999999x200",
            'tenantry_gateway_certificate_end_timestamp_seconds{pod="b"}': "0x200",
        },
    ),
    "TenantryGatewayAccessLogLost": (
        {"tenantry_gateway_access_log_dropped_total{}": "0x30 5+1x20"},
        {"tenantry_gateway_access_log_dropped_total{}": "5x60"},
    ),
    "TenantryGatewayProbed": (
        {'tenantry_gateway_refused_total{reason="knowledge_base"}': "0+3x90"},
        {'tenantry_gateway_refused_total{reason="knowledge_base"}': "0+1x90", 'tenantry_gateway_refused_total{reason="throttled"}': "0+9x90"},
    ),
}  # fmt: skip


def scraped(case: dict[str, str]) -> Recording:
    """A scrape each minute, from the beginning of time on."""
    series = {}
    for name, written in case.items():
        values: list[float] = []
        for part in written.split():
            first, step, times = re.fullmatch(r"([0-9.]+)(?:\+(-?[0-9.]+))?x(\d+)", part).groups()
            values += [float(first) + float(step or 0) * index for index in range(int(times))]
        series[recording.labels(name)] = [(index * MINUTE, it) for index, it in enumerate(values)]
    times = max((len(samples) for samples in series.values()), default=60)
    return Recording([index * MINUTE for index in range(times)], series)


def firing(rule: Rule, of: Recording) -> Vector:
    """What fires at the end: what has been there for as long as the rule wants."""
    wanted = parse_duration(rule["for"]).total_seconds()
    last = of.times[-1]
    said = [value(rule["expr"], of, at) for at in of.times if at >= last - wanted]
    assert last >= wanted, "the case is too short for it"
    return {labels: it for labels, it in said[-1].items() if all(labels in one for one in said)}


def test_each_alert_has_a_case() -> None:
    assert list(CASES) == list(RULES)


@each_rule
def test_each_alert_fires_when_it_should_and_not_otherwise(rule: Rule) -> None:
    fires, does_not = CASES[rule["alert"]]
    found = firing(rule, scraped(fires))
    assert found, "it does not fire"
    assert not firing(rule, scraped(does_not)), "it fires where all is well"
    # A template with a label that is not there writes <no value>.
    used = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
    assert used <= {label for labels in found for label, _ in labels}


def test_nothing_would_fire_in_a_run_but_what_was_done_to_it() -> None:
    """In the run that was recorded AWS denies, throttles and fails some calls. At its end one Tenant names a stack that is missing,
    another's id is taken, and there is no gateway."""
    of = recording.read()
    pending = {alert for alert, rule in RULES.items() if value(rule["expr"], of, of.times[-1])}
    of_calls = {"TenantryAwsDenied", "TenantryAwsThrottled", "TenantryReconcileErrors"}
    assert pending == {"TenantryNotReady", "TenantryStalled", "TenantryGatewayAbsent"} | of_calls


@each_rule
def test_each_alert_says_how_bad_it_is_and_where_to_read_on(rule: Rule) -> None:
    assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"].keys() == {"severity"} and rule["labels"]["severity"] in ("critical", "warning", "info")
    assert rule["annotations"].keys() == {"summary", "description", "runbook"}
    assert rule["annotations"]["runbook"] == f"docs/alerts.md#{rule['alert'].lower()}"


def test_each_alert_has_its_section_and_each_section_its_alert() -> None:
    page = (ROOT / "docs" / "alerts.md").read_text()
    sections = dict(re.findall(r"^### (\w+)\n\n((?:- .*\n)+)", page, re.MULTILINE))
    assert list(sections) == list(RULES), "docs/alerts.md has the alerts of files/alerts.yaml and files/gateway-alerts.yaml, in their order"
    for alert, section in sections.items():
        assert re.findall(r"^- \*\*(\w+)\*\*: .", section, re.MULTILINE) == ["Symptom", "Meaning", "Look", "Do"], alert


# -- As the chart renders them


def rendered(*cases: Any, **values: Any) -> list[Rule]:
    on_top = {"metrics.prometheusRule.enabled": True} | {f"metrics.prometheusRule.{key}": it for key, it in values.items()}
    (rule,) = of_kind(render(*cases, values=on_top), "PrometheusRule")
    return [alert for group in rule["spec"]["groups"] for alert in group["rules"]]


def test_without_values_the_chart_renders_the_files() -> None:
    assert rendered(CHART / "ci" / "minimal.yaml") == monitoring.rules("alerts.yaml")
    assert rendered(CHART / "ci" / "gateway-secret.yaml") == monitoring.rules()


@pytest.mark.parametrize(
    "case, values, matchers",
    [
        ("everything", {}, {"job": "rag-operator-metrics"}),
        ("eks-pod-identity", {}, {"job": f"{chart.NAMESPACE}/tenantry"}),
        ("minimal", {"matchers": 'job="other",cluster="eu"'}, {"job": "other", "cluster": "eu"}),
        ("gateway-secret", {"matchers": 'job=~"tenantry-.*"'}, {"job": "tenantry-.*"}),
    ],
)
def test_every_selector_has_the_matchers_of_the_release(case: str, values: chart.Values, matchers: dict[str, str]) -> None:
    rules = rendered(CHART / "ci" / f"{case}.yaml", **values)
    for rule in rules:
        plain = selectors(RULES[rule["alert"]]["expr"])
        for before, after in zip(plain, selectors(rule["expr"]), strict=True):
            added = [f'{name}{"=~" if "*" in it else "="}"{it}"' for name, it in matchers.items()]
            wanted = sorted([*(str(it) for it in before.matchers.matchers), *added])
            assert (after.name, sorted(str(it) for it in after.matchers.matchers)) == (before.name, wanted)


def test_the_gateways_alerts_look_at_the_gateways_series() -> None:
    jobs = {"operator": f"{chart.NAMESPACE}/tenantry", "gateway": f"{chart.NAMESPACE}/tenantry-gateway"}
    for rule in rendered(CHART / "ci" / "gateway.yaml"):
        whose = "gateway" if rule["alert"].startswith("TenantryGateway") else "operator"
        for selector in selectors(rule["expr"]):
            assert [it.value for it in selector.matchers.matchers if it.name == "job"] == [jobs[whose]], rule["alert"]


def test_alerts_can_be_left_out_and_labelled_and_lead_to_a_page() -> None:
    url = "https://docs.example.com/alerts.md"
    rules = rendered(CHART / "ci" / "minimal.yaml", without=["TenantryModelEnds"], alertLabels={"team": "rag"}, runbookUrl=url)
    assert [rule["alert"] for rule in rules] == [it["alert"] for it in monitoring.rules("alerts.yaml") if it["alert"] != "TenantryModelEnds"]
    for rule in rules:
        assert rule["labels"] == {"team": "rag", **RULES[rule["alert"]]["labels"]}
        assert rule["annotations"]["runbook_url"] == f"{url}#{rule['alert'].lower()}"


def test_the_values_of_the_page_are_values() -> None:
    alerts, dashboard = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "metrics.md").read_text(), re.DOTALL))
    manifests = render(CHART / "ci" / "minimal.yaml", values={f"{key}.{name}": it for key, given in alerts.items() for name, it in given.items()})
    (rule,) = of_kind(manifests, "PrometheusRule")
    assert rule["metadata"]["labels"]["release"] == "prometheus" and of_kind(manifests, "ServiceMonitor")
    (config,) = of_kind(render(CHART / "ci" / "minimal.yaml", values={"metrics.dashboard": dashboard["metrics"]["dashboard"]}), "ConfigMap")
    assert config["metadata"]["namespace"] == "monitoring" and config["metadata"]["labels"]["grafana_dashboard"] == "1"
