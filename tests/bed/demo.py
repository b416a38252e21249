"""The demo: onboard the tenants of `examples/`, give each its own documents, and ask each the same question by plain boto3, through
the gateway; a tenant that asks far more than its class lets it is throttled, and the others are not; a dishonest program tries to
get at another's documents, and the root of the account at the vectors of one. Then one of each pattern leaves.

A real API server, operator and gateway as built from this checkout, and a double in place of AWS. It succeeds if every tenant becomes
Ready and answers from its own documents only, and if of those who leave nothing stays, while the others answer as before.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import re
import subprocess
import sys
import textwrap
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

import prepare
from bed import ACCOUNT, REGION, Bed, Trouble, free_port
from prepare import OPERATOR, ROOT

QUESTION = "How many days of annual leave do employees get, and who approves them?"
EXAMPLES = [ROOT / "examples" / f"{name}.yaml" for name in ("shared-stack", "silo", "silo-s3-vectors", "bridge", "pool", "tiers", "leaving")]
LEAVING = ROOT / "examples" / "leaving.yaml"
DOCUMENTS = ROOT / "examples" / "documents"
PROGRAM, DISHONEST = ROOT / "examples" / "gateway" / "ask.py", ROOT / "tests" / "bed" / "dishonest.py"
INSTALLATION, NAMESPACE = "demo", "tenants"
WIDTHS = [9, 9, 5, 18, 7, 7, 14, 30]  # of the columns of `kubectl get tenants` that are shown
PATIENCE = 300  # seconds, until everything is Ready and indexed

Resource = dict[str, Any]
Passage = tuple[str, str]  # where it is from, and what it says


def condition(thing: Resource, kind: str) -> str:
    """The status of one condition: True, False, Unknown, or nothing if it is absent."""
    return next((c["status"] for c in thing["status"].get("conditions", []) if c["type"] == kind), "")


def name(thing: Resource) -> str:
    return thing["metadata"]["name"]


def pattern(tenant: Resource) -> str:
    """How isolated it is: by its spec, or by its class."""
    return tenant["status"]["placement"]["pattern"]


def is_ready(thing: Resource) -> bool:
    return thing["status"].get("observedGeneration") == thing["metadata"]["generation"] and condition(thing, "Ready") == "True"


class Demo:
    """One run, in a bed that is up."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.environment = bed.environment()
        os.environ.update(bed.exports())
        self.s3, self.bedrock = boto3.client("s3"), boto3.client("bedrock-agent-runtime")
        self.knowledge_bases, self.iam = boto3.client("bedrock-agent"), boto3.client("iam")
        self.vectors = boto3.client("s3vectors")
        self.pods: dict[str, dict[str, str]] = {}
        self.uploaded: dict[str, datetime.datetime] = {}
        self.said: set[str] = set()

    def run(self) -> tuple[int, int]:
        """Do all of it; returns how many tenants came, and how many left."""
        if not OPERATOR.exists():
            raise Trouble("the operator is not built; `make demo` builds it first")
        print("\n== The operator starts, and kubectl applies examples/")
        self.kubectl("apply", "-f", ROOT / "crds")
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", ROOT / "crds")
        self.kubectl("create", "namespace", NAMESPACE)
        command = [str(OPERATOR), "run", "--installation", INSTALLATION, "--clock", "10", "--deletion-grace", "60"]
        environment = {**self.environment, "KUBECONFIG": str(self.bed.operator_kubeconfig)}
        self.operator = self.bed.spawn("operator", command, env=environment)
        for example in EXAMPLES:
            print(self.kubectl("apply", "-f", example), end="")

        print("\n== kubectl get tenants -A, a line for each change; documents go up as soon as a tenant has a bucket")
        tenants = self.until_ready()

        self.start_gateway()
        print(f"\n== Each tenant is asked by {PROGRAM.relative_to(ROOT)}, which is plain boto3, through the gateway: {QUESTION}")
        answers = {name(tenant): self.ask(tenant) for tenant in tenants}
        self.compare(tenants, answers)

        print("\n== Who is where, of which class, and near which limit: tenantry tenants --by-class")
        print(self.command([str(OPERATOR), "tenants", "--by-class"]), end="")
        print("\n== A noisy tenant asks three times as much as its class lets it in a minute, while the others ask what they need")
        self.be_noisy(tenants)

        print("\n== A dishonest program tries to get at another tenant's documents")
        self.be_dishonest(tenants)

        print("\n== The root of the account, which may do anything, asks the index of each tenant on S3 Vectors itself")
        self.be_root(tenants)

        print("\n== One of each pattern leaves: tenantry delete --dry-run says what goes, then kubectl delete -f examples/leaving.yaml")
        gone = self.offboard(tenants)
        self.nothing_is_left_of(gone)
        print("\n== The others are asked again")
        for tenant in self.get("tenants"):
            if not is_ready(tenant) or self.ask(tenant, quiet=True) != answers[name(tenant)]:
                raise Trouble(f"{name(tenant)} is not Ready or does not answer as before, although only others left")
        return len(tenants), len(gone)

    def start_gateway(self) -> None:
        """A gateway with rights of its own: in the cluster those of the chart, in AWS those that `tenantry iam-policy` prints."""
        gateway, ask = (f"arn:aws:iam::{ACCOUNT}:role/{role}" for role in ("tenantry-gateway", "tenantry-ask"))
        root = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
        trusts_root = {"Version": "2012-10-17", "Statement": [root]}
        self.make_role(gateway, json.dumps(trusts_root), self.policy("gateway", f"--ask-role={ask}"))
        self.make_role(ask, self.policy("ask", "--trust", f"--gateway-role={gateway}"), self.policy("ask"))
        keys = boto3.client("sts").assume_role(RoleArn=gateway, RoleSessionName="gateway")["Credentials"]
        session = {"AWS_ACCESS_KEY_ID": "AccessKeyId", "AWS_SECRET_ACCESS_KEY": "SecretAccessKey", "AWS_SESSION_TOKEN": "SessionToken"}
        environment = {**self.environment, "KUBECONFIG": str(self.bed.gateway_kubeconfig)}
        environment.update({variable: keys[member] for variable, member in session.items()})
        address, probes = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self.gateway_url = f"http://{address}"
        command = [str(OPERATOR), "gateway", "--installation", INSTALLATION, "--ask-role", ask, "--clock", "10", "--plaintext"]
        command += ["--bind-address", address, "--health-probe-bind-address", probes]
        process = self.bed.spawn("gateway", command, env=environment)
        process.wait_until(lambda: is_there(f"http://{probes}/readyz"))

    def make_role(self, arn: str, trust: str, policy: str) -> None:
        role = arn.split("/")[-1]
        self.iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust)
        self.iam.put_role_policy(RoleName=role, PolicyName="tenantry", PolicyDocument=policy)

    def policy(self, *what: str) -> str:
        scope = ["--installation", INSTALLATION, "--account", ACCOUNT, "--region", REGION]
        return self.command([str(OPERATOR), "iam-policy", what[0], *scope, *what[1:]])

    def pod(self, tenant: Resource) -> dict[str, str]:
        """The environment of a pod that may ask for this tenant: examples/gateway/pod.yaml."""
        if (known := self.pods.get(name(tenant))) is None:
            account, role = f"web-{name(tenant)}", f"ask-{name(tenant)}"
            self.kubectl("create", "serviceaccount", account, "-n", NAMESPACE)
            resource = ["--verb=ask", "--resource=tenants.tenantry.dev", f"--resource-name={name(tenant)}"]
            self.kubectl("create", "role", role, "-n", NAMESPACE, *resource)
            self.kubectl("create", "rolebinding", role, "-n", NAMESPACE, f"--role={role}", f"--serviceaccount={NAMESPACE}:{account}")
            token = self.bed.directory / f"{account}.token"
            token.write_text(self.kubectl("create", "token", account, "-n", NAMESPACE, "--audience=tenantry-gateway"))
            known = self.pods[name(tenant)] = {
                "AWS_ROLE_ARN": f"arn:aws:iam::000000000000:role/{tenant['spec']['tenantId']}",
                "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
                "AWS_ENDPOINT_URL_STS": self.gateway_url,
                "AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME": self.gateway_url,
                "AWS_DEFAULT_REGION": REGION,
            }
        others = {variable: value for variable, value in self.environment.items() if not variable.startswith("AWS_")}
        return {**others, **known}

    def be_noisy(self, tenants: list[Resource]) -> None:
        """Whoever asks more than its class lets it is throttled, in AWS's own words, and nobody else is."""
        allowed = {name(each): each["spec"].get("gateway", {}) for each in self.get("tenantclasses")}
        limits = {name(tenant): allowed.get(tenant["status"].get("class"), {}).get("requestsPerMinute") for tenant in tenants}
        noisy = min((tenant for tenant in tenants if limits[name(tenant)]), key=lambda tenant: limits[name(tenant)])
        others = [tenant for tenant in tenants if tenant is not noisy]
        with ThreadPoolExecutor(max_workers=4) as crowd:
            loud, whose = self.client(noisy), name(noisy)
            told = [crowd.submit(attempt, loud) for _ in range(3 * limits[whose])]
            quiet = {name(tenant): [attempt(client) for _ in range(3)] for tenant in others for client in [self.client(tenant)]}
            refusals = [refusal for refusal in (each.result() for each in told) if refusal]
        if not refusals or any("ThrottlingException" not in refusal for refusal in refusals):
            raise Trouble(f"{whose} asked {len(told)} times, and was not throttled as it should be: {refusals[:1]}")
        if trouble := [f"{who}: {refusal}" for who, each in quiet.items() for refusal in each if refusal]:
            raise Trouble(f"{whose} was noisy, and others were refused: {'; '.join(trouble)}")
        print(f"  {whose} ({noisy['status']['class']}) asked {len(told)} times: {len(told) - len(refusals)} answered, {len(refusals)} throttled")
        print(f"  {refusals[-1]}")
        print(f"  the {len(others)} others asked {3 * len(others)} times meanwhile: all answered")

    def client(self, tenant: Resource) -> Any:
        """Plain boto3 with the token of a pod of this tenant, which says when it is throttled, and does not try again by itself."""
        token = Path(self.pod(tenant)["AWS_WEB_IDENTITY_TOKEN_FILE"]).read_text().strip()
        return boto3.client(
            "bedrock-agent-runtime",
            endpoint_url=f"{self.gateway_url}/t/{tenant['spec']['tenantId']}",
            aws_access_key_id="none",
            aws_secret_access_key="none",
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": 1}),
        )

    def be_dishonest(self, tenants: list[Resource]) -> None:
        """Whatever it tries, it is shown its own tenant's documents or nothing."""
        me, other = [tenant for tenant in tenants if pattern(tenant) == "Pool"][:2]
        silo = next(tenant for tenant in tenants if pattern(tenant) == "Silo")
        status, key = me["status"], me["status"]["retrievalFilter"]["equals"]["key"]
        others = [other["spec"]["tenantId"], silo["spec"]["tenantId"], silo["status"]["knowledgeBaseId"]]
        command = [sys.executable, str(DISHONEST), QUESTION, *others, status["knowledgeBaseId"], key]
        outcome = json.loads(self.command(command, self.pod(me)))
        home = f"s3://{status['bucket']}/{status['prefix']}"
        for trick, told, places in outcome:
            if strangers := [place for place in places if not place.startswith(home)]:
                raise Trouble(f"a program of {name(me)} that {trick} was shown {', '.join(strangers)}")
            own = f", all of {name(me)}'s own" if places else ""
            print(f"  {name(me)}'s program {trick}: {told}{own}")

    def be_root(self, tenants: list[Resource]) -> None:
        """Whatever IAM allows: the policy of a vector bucket opens each index to the role of its knowledge base alone."""
        guarded = [tenant for tenant in tenants if tenant["status"].get("vectorStore") == "S3Vectors"]
        if not guarded:
            raise Trouble("no tenant is on S3 Vectors")
        for tenant in guarded:
            index = tenant["status"]["indexArn"]
            try:
                self.vectors.get_index(indexArn=index)
                self.vectors.list_vectors(indexArn=index, returnMetadata=True)
            except ClientError as error:
                if error.operation_name != "ListVectors" or error.response["Error"]["Code"] != "AccessDeniedException":
                    raise
                print(f"  {name(tenant)}'s index is there, and ListVectors is refused: {error.response['Error']['Message']}")
            else:
                raise Trouble(f"the root of the account was shown the vectors of {name(tenant)}")

    def offboard(self, tenants: list[Resource]) -> list[Resource]:
        """Delete those who leave, and wait until they are gone; returns them as they were."""
        leaving = {line.split("/")[-1] for line in self.kubectl("get", "-f", LEAVING, "-o", "name").split()}
        silo = next(name(t) for t in tenants if name(t) in leaving and pattern(t) == "Silo")
        print(self.command([str(OPERATOR), "delete", "--dry-run", "-n", NAMESPACE, silo]))
        begun = time.monotonic()
        self.kubectl("delete", "--wait=false", "-f", LEAVING)
        while left := [tenant for tenant in self.get("tenants") if name(tenant) in leaving]:
            for tenant in left:
                ready = next(c for c in tenant["status"]["conditions"] if c["type"] == "Ready")
                if self.news(f"{name(tenant)} {ready['message']}"):
                    said = textwrap.shorten(ready["message"], 100, placeholder=" …")
                    print(f"{time.monotonic() - begun:5.0f} s  {name(tenant):9}  {ready['reason']:11}  {said}")
            if time.monotonic() - begun > PATIENCE:
                raise Trouble(f"after {PATIENCE} s these were not gone: {', '.join(map(name, left))}{self.conditions(left)}")
            self.bed.check()
            time.sleep(1)
        print(f"{time.monotonic() - begun:5.0f} s  all of them are gone")
        return [tenant for tenant in tenants if name(tenant) in leaving]

    def nothing_is_left_of(self, gone: list[Resource]) -> None:
        """Of who has left, no bucket, no document, no knowledge base, and no answer."""
        buckets = {bucket["Name"] for bucket in self.s3.list_buckets()["Buckets"]}
        pages = self.knowledge_bases.get_paginator("list_knowledge_bases").paginate()
        ids = {summary["knowledgeBaseId"] for page in pages for summary in page["knowledgeBaseSummaries"]}
        for tenant in gone:
            status, how = tenant["status"], pattern(tenant)
            if how == "Silo" and status["bucket"] in buckets or how != "Pool" and status["knowledgeBaseId"] in ids:
                raise Trouble(f"of {name(tenant)} there is still its bucket or its knowledge base")
            if how != "Silo" and self.s3.list_object_versions(Bucket=status["bucket"], Prefix=status["prefix"]).get("Versions"):
                raise Trouble(f"of {name(tenant)} there are still documents")
            if how == "Pool":
                query, filter_ = {"text": QUESTION}, {"vectorSearchConfiguration": {"filter": status["retrievalFilter"]}}
                found = self.bedrock.retrieve(
                    knowledgeBaseId=status["knowledgeBaseId"], retrievalQuery=query, retrievalConfiguration=filter_
                )
                if found["retrievalResults"]:
                    raise Trouble(f"the pool still answers from documents of {name(tenant)}")
        print("         nothing of them is left in AWS")

    def until_ready(self) -> list[Resource]:
        """Upload what each tenant has, and wait until all of it can be asked for."""
        begun = time.monotonic()
        while True:
            tenants, stacks = self.get("tenants"), self.get("sharedstacks")
            self.show_changes(time.monotonic() - begun)
            for tenant in tenants:
                if name(tenant) not in self.uploaded and tenant["status"].get("bucket") and tenant["status"].get("prefix"):
                    self.upload(tenant)
            pending = self.unready(tenants + stacks) | self.unindexed(tenants, stacks)
            if not pending:
                return tenants
            if time.monotonic() - begun > PATIENCE:
                reasons = "; ".join(f"{thing} {reason}" for thing, reason in pending.items())
                raise Trouble(f"after {PATIENCE} s this was not finished: {reasons}{self.conditions(tenants + stacks)}")
            self.bed.check()
            time.sleep(1)

    def unready(self, things: list[Resource]) -> dict[str, str]:
        return {name(thing): "is not Ready" for thing in things if not is_ready(thing)}

    def unindexed(self, tenants: list[Resource], stacks: list[Resource]) -> dict[str, str]:
        """Whose documents cannot be found yet, and why."""
        by_name = {name(stack): stack for stack in stacks}
        pending = {}
        for tenant in tenants:
            placement = tenant["status"].get("placement", {})
            owner = by_name[placement["stackRef"]["name"]] if placement.get("pattern") == "Pool" else tenant
            job = owner["status"].get("ingestion") or {}
            if name(tenant) not in self.uploaded:
                pending[name(tenant)] = "has no bucket for its documents"
            elif moment(job.get("startedTime")) < self.uploaded[name(tenant)]:
                pending[name(tenant)] = "has had no ingestion job since its documents were uploaded"
            elif job["lastStatus"] != "COMPLETE" or condition(owner, "DocumentsCurrent") != "True":
                pending[name(tenant)] = f"has an ingestion job that is {job['lastStatus']}"
            elif self.news(f"{name(tenant)} indexed"):
                print(f"         documents of {name(tenant)} are indexed")
        return pending

    def upload(self, tenant: Resource) -> None:
        """Put the tenant's handbook into its prefix, and ask for an ingestion job that reads all of it.

        The first document of a data source starts a job by itself. If it is the only one, another job would read nothing
        new; and a class may let its tenants wait long for another.
        """
        where, home = tenant["status"], DOCUMENTS / tenant["spec"]["tenantId"]
        files = sorted(file for file in home.rglob("*") if file.is_file())
        if not files:
            raise Trouble(f"there are no documents for {name(tenant)} in {home.relative_to(ROOT)}")
        now = this_second()
        for file in files:
            self.s3.upload_file(str(file), where["bucket"], where["prefix"] + file.relative_to(home).as_posix())
        if len(files) > 1 or where["placement"]["pattern"] == "Pool":
            time.sleep(1 - time.time() % 1)  # times in status have whole seconds: what starts from the next one on started later
            now = this_second()
            self.kubectl("annotate", "-n", NAMESPACE, "tenant", name(tenant), f"tenantry.dev/sync-requested-at={now.isoformat()}")
        self.uploaded[name(tenant)] = now
        print(f"         {len(files)} documents of {name(tenant)} uploaded to s3://{where['bucket']}/{where['prefix']}")

    def show_changes(self, seconds: float) -> None:
        """Print the lines of `kubectl get tenants` that say something new, without the columns that count time."""
        header, *rows = self.kubectl("get", "tenants", "-A").splitlines() or [""]
        starts = [match.start() for match in re.finditer(r"\S+( \S+)*", header)]
        for row in [header, *rows]:
            cells = [row[start:end].strip() for start, end in zip(starts, starts[1:])]
            line = "  ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS)).rstrip()
            if self.news(line):
                print("   time" if row is header else f"{seconds:5.0f} s", line, sep="  ")

    def news(self, text: str) -> bool:
        """Whether this is said for the first time."""
        fresh = text not in self.said
        self.said.add(text)
        return fresh

    def ask(self, tenant: Resource, quiet: bool = False) -> list[Passage]:
        """Ask a tenant's knowledge base as a program does that knows nothing of Tenantry, and show the best of what it finds."""
        printed = self.command([sys.executable, str(PROGRAM), QUESTION], self.pod(tenant))
        pieces = re.split(r"^\d+\. (s3://.*)\n", printed, flags=re.MULTILINE)[1:]
        found = [(place, textwrap.dedent(text).strip()) for place, text in zip(pieces[::2], pieces[1::2])]
        home = f"s3://{tenant['status']['bucket']}/{tenant['status']['prefix']}"
        strangers = sorted({place for place, _ in found if not place.startswith(home)})
        if not found:
            raise Trouble(f"{name(tenant)} got no answer")
        if strangers:
            raise Trouble(f"{name(tenant)} was answered from documents that are not under {home}: {', '.join(strangers)}")
        place, text = found[0]
        if quiet:
            print(f"  {name(tenant)} ({pattern(tenant)}) answers as before, best from {place}")
            return found
        print(f"\n{name(tenant)} ({pattern(tenant)}, {tenant['status']['vectorStore']}), best of {len(found)} passages")
        print(textwrap.fill(excerpt(text), 100, initial_indent="  | ", subsequent_indent="  | "))
        print(f"  {place}")
        return found

    def compare(self, tenants: list[Resource], answers: dict[str, list[Passage]]) -> None:
        """Show that the answers differ, and that the shared knowledge base would have answered with another's document."""
        texts = {found[0][1] for found in answers.values()}
        if len(texts) != len(answers):
            raise Trouble("two tenants were answered with the same text; their documents should contradict one another")
        pooled = [tenant for tenant in tenants if pattern(tenant) == "Pool"]
        found = self.bedrock.retrieve(knowledgeBaseId=pooled[0]["status"]["knowledgeBaseId"], retrievalQuery={"text": QUESTION})
        nearest = uri(found["retrievalResults"][0])
        others = [name(tenant) for tenant in pooled if tenant["status"]["prefix"] not in nearest]
        if not others:
            raise Trouble("the pool's best match belongs to every tenant; the documents do not show that the filter matters")
        print(f"\nAsked without the gateway, and without a filter, the shared knowledge base would have answered {' and '.join(others)} from\n  {nearest}")

    def get(self, kind: str) -> list[Resource]:
        return json.loads(self.kubectl("get", kind, "-A", "-o", "json"))["items"]

    def kubectl(self, *arguments: str | Path) -> str:
        return self.command([self.bed.kubectl, *map(str, arguments)])

    def command(self, command: list[str], environment: dict[str, str] | None = None) -> str:
        done = subprocess.run(command, capture_output=True, text=True, env=environment or self.environment)
        if done.returncode != 0:
            raise Trouble(f"`{' '.join(command)}` failed with exit code {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def conditions(self, things: list[Resource]) -> str:
        """What everything that is not Ready says about itself, and the operator's last words."""
        lines = []
        for thing in things:
            for c in [] if is_ready(thing) else thing["status"].get("conditions", []):
                lines.append(f"\n  {thing['kind']} {name(thing)}: {c['type']}={c['status']} {c['reason']}: {c['message']}")
        return "".join(lines) + f"\nOf the operator, {self.operator.last_words()}"


def attempt(client: Any) -> str:
    """Ask once; returns the refusal, or nothing."""
    try:
        client.retrieve(knowledgeBaseId="TENANTRYKB", retrievalQuery={"text": QUESTION})
    except ClientError as error:
        return str(error)
    return ""


def this_second() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def moment(time_in_status: str | None) -> datetime.datetime:
    return datetime.datetime.fromisoformat(time_in_status or "1970-01-01T00:00:00Z")


def uri(result: Resource) -> str:
    return result["location"]["s3Location"]["uri"]


def excerpt(passage: str) -> str:
    """The two paragraphs that share most words with the question, in their order."""
    asked = words(QUESTION)
    paragraphs = [text for text in passage.split("\n\n") if not text.startswith("#")]
    best = sorted(paragraphs, key=lambda text: len(asked & words(text)), reverse=True)[:2]
    return " … ".join(text for text in paragraphs if text in best)


def is_there(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5):
        return True
    return False


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def say_how_to_use(bed: Bed, pod: dict[str, str] | None) -> None:
    print("\nAll of it is still running, until Ctrl-C here. In another terminal:\n")
    for variable, value in bed.exports().items():
        print(f"  export {variable}={value}")
    print(f"  kubectl get tenants.tenantry.dev -A\n  {OPERATOR} retrieve -n {NAMESPACE} acme \"{QUESTION}\"\n")
    if pod:
        print("A program asks through the gateway as soon as it has the environment of a pod, here of one of acme's:\n")
        ours = " ".join(f"{variable}={pod[variable]}" for variable in pod if variable.startswith("AWS_"))
        print(f"  env -u AWS_ACCESS_KEY_ID {ours} \\\n    .cache/venv/bin/python {PROGRAM.relative_to(ROOT)} \"{QUESTION}\"\n")
    print(f"The operator's log is {bed.directory / 'operator.log'}. It waits a tenth of what messages say; docs/demo.md has more.\n")


def hold(bed: Bed) -> None:
    """Leave everything running until the person has seen enough."""
    try:
        while True:
            bed.check()
            time.sleep(0.5)
    except SystemExit:
        print("Ending all of it …")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end, until Ctrl-C")
    keep = parser.parse_args().keep
    prepare.let_signals_exit()
    sys.stdout.reconfigure(line_buffering=True)
    try:
        with Bed(installation=INSTALLATION) as bed:
            demo = Demo(bed)
            try:
                tenants, gone = demo.run()
                outcome = f"demo: ok: {tenants} tenants Ready, {tenants} answers from their own documents, 0 from another's"
                outcome += f"; 1 throttled alone; {gone} left, {tenants - gone} answer as before"
            except Trouble as trouble:
                tenants, outcome = 0, f"demo: failed: {trouble}"
            if keep:
                say_how_to_use(bed, demo.pods.get("acme"))
                print(outcome)
                hold(bed)
    except (Trouble, prepare.Missing) as trouble:
        # Also of a demo that is kept: what was said of it before is over.
        tenants, outcome, keep = 0, f"demo: failed: {trouble}", False
    if not keep:
        print(f"\n{outcome}")
    return 0 if tenants else 1


if __name__ == "__main__":
    sys.exit(main())
