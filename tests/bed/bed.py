"""The test bed: a real Kubernetes API server with its etcd, and the AWS double, on loopback only.

    bed.py up              start all of it, print one line of JSON, and run until stdin closes
           --namespaces          with the controller that empties namespaces that are being deleted
           --installation NAME   with what the chart gives an operator in the cluster
           --evidence FILE       and write there which statements of IAM policies were needed
    bed.py run -- CMD …    start all of it, run CMD with the environment that reaches it, pass on its exit code

All state is in one temporary directory, and every process ends with the bed, even if the bed is killed.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import ctypes
import json
import os
import random
import secrets
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import prepare
from prepare import say

ACCOUNT = "111122223333"
REGION = "us-east-1"
NAMESPACE_DEFAULT = "/api/v1/namespaces/default"
CHART = prepare.ROOT / "charts" / "tenantry"
RELEASE = NAMESPACE = "tenantry"


def without_proxies() -> dict[str, str]:
    """Our own environment without the proxies that it names: nothing that runs on loopback is behind one."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


class Trouble(Exception):
    """The bed cannot go on; the message says why and shows what is known."""


class PortTaken(Trouble):
    """Somebody else bound the port between our choice of it and our use."""


class Child:
    """A process that the bed started: it logs into the bed's directory and cannot outlive the bed."""

    def __init__(self, name: str, command: list[str], directory: Path, **options: object) -> None:
        self.name = name
        self.out, self.log = directory / f"{name}.out", directory / f"{name}.log"
        options.setdefault("env", without_proxies())
        with open(self.out, "wb") as out, open(self.log, "wb") as log:
            # A process group of its own: Ctrl-C reaches the bed, and the bed ends its children in order.
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=out, stderr=log, process_group=0, preexec_fn=_die_with(os.getpid()), **options
            )

    def wait_until(self, ready: Callable[[], bool], seconds: float = 60) -> None:
        """Return once `ready()`; fail if the process ends first or the time is over."""
        deadline = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise Trouble(f"{self.name} did not become ready in {seconds:.0f} s; {self.last_words()}")
            time.sleep(0.05)
        self.check()

    def check(self) -> None:
        """Fail if the process has ended."""
        if (code := self.process.poll()) is not None:
            kind = PortTaken if b"address already in use" in self.log.read_bytes() else Trouble
            raise kind(f"{self.name} ended by itself with code {code}; {self.last_words()}")

    def last_words(self, lines: int = 15) -> str:
        tail = self.log.read_text(errors="replace").splitlines()[-lines:]
        return "the last lines of its log are:\n" + "\n".join(f"  {line}" for line in tail or ["(nothing)"])

    def end(self, patience: float = 5) -> None:
        """Ask the process to end, then make it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdin.close()


class Bed:
    """etcd, kube-apiserver and the AWS double, from `with Bed() as bed:` to the end of the block.

    With `controllers`, kube-controller-manager too, with nothing but those: without namespace-controller, a namespace
    that is being deleted stays for ever. With an `installation`, what the chart gives an operator of that name in the
    cluster, and a gateway: a service account each with its rights, under which whoever uses `operator_kubeconfig` or
    `gateway_kubeconfig` acts. With `audit`, what service accounts ask of the API server is written down; with `evidence`, which
    statements of IAM policies were needed."""

    def __init__(
        self, controllers: tuple[str, ...] = (), installation: str | None = None, audit: bool = False, evidence: str | None = None
    ) -> None:
        self.controllers, self.installation, self.audit, self.evidence = controllers, installation, audit, evidence

    def __enter__(self) -> Bed:
        tools = {name: str(prepare.tool(name)) for name in ("etcd", "kube-apiserver", "kubectl")}
        helm = str(prepare.tool("helm")) if self.installation else None
        manager = str(prepare.tool("kube-controller-manager")) if self.controllers else None
        python, self.kubectl = str(prepare.venv()), tools["kubectl"]
        begun = time.monotonic()
        self.directory = Path(tempfile.mkdtemp(prefix="tenantry-bed-"))
        self.children: list[Child] = []
        self.token = secrets.token_hex(16)
        try:
            evidence = ["--evidence", str(Path(self.evidence).resolve())] if self.evidence else []
            double = self.spawn("aws-double", [python, "-m", "double", *evidence], cwd=prepare.ROOT / "tests" / "aws")
            self._etcd(tools["etcd"])
            self._api_server(tools["kube-apiserver"])
            if manager:
                self._controller_manager(manager)
            if helm:
                self._service_accounts(helm)
            double.wait_until(lambda: b"\n" in double.out.read_bytes())
            self.aws_endpoint = json.loads(double.out.read_text().splitlines()[0])["endpoint"]
        except BaseException:
            self.__exit__()
            raise
        say(f"The test bed is up after {time.monotonic() - begun:.1f} s.")
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for child in reversed(self.children):
            child.end()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    @property
    def operator_kubeconfig(self) -> Path:
        return self.directory / "operator.kubeconfig"

    @property
    def gateway_kubeconfig(self) -> Path:
        return self.directory / "gateway.kubeconfig"

    def facts(self) -> dict[str, str]:
        """What a client needs to know, as `bed.py up` prints it."""
        return {
            "kubeconfig": str(self.kubeconfig),
            "operator_kubeconfig": str(self.operator_kubeconfig) if self.installation else "",
            "gateway_kubeconfig": str(self.gateway_kubeconfig) if self.installation else "",
            "server": self.server,
            "token": self.token,
            "kubectl": self.kubectl,
            "aws_endpoint": self.aws_endpoint,
            "dir": str(self.directory),
        }

    def exports(self) -> dict[str, str]:
        """The variables with which kubectl, the operator and any AWS client reach the bed."""
        return {
            "KUBECONFIG": str(self.kubeconfig),
            "AWS_ENDPOINT_URL": self.aws_endpoint,
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "not-a-secret",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,  # what Python clients read
            # All of it is on loopback, which no proxy of an office can reach.
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def environment(self) -> dict[str, str]:
        """Our own environment with the bed in it, and with nothing that leads to another AWS account or through a proxy."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        path = os.pathsep.join([kept["PATH"], str(Path(self.kubectl).parent)])
        return {**kept, "PATH": path, **self.exports()}

    def spawn(self, name: str, command: list[str], **options: object) -> Child:
        """Start a process that ends with the bed."""
        child = Child(name, command, self.directory, **options)
        self.children.append(child)
        return child

    def check(self) -> None:
        """Fail if any process of the bed has ended."""
        for child in self.children:
            child.check()

    def _etcd(self, program: str) -> None:
        client, peer = self.directory / "etcd.sock", self.directory / "peer.sock"
        etcd = self.spawn("etcd", [
            program,
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls=unix://{client}",
            f"--advertise-client-urls=unix://{client}",
            f"--listen-peer-urls=unix://{peer}",
            f"--initial-advertise-peer-urls=unix://{peer}",
            f"--initial-cluster=default=unix://{peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ])  # fmt: skip
        etcd.wait_until(lambda: _accepts(client))

    def _api_server(self, program: str) -> None:
        tokens, key, certificates = self.directory / "tokens.csv", self.directory / "service-account.key", self.directory / "certificates"
        tokens.write_text(f"{self.token},admin,admin,system:masters\n")
        key.write_text(_signing_key())
        for _ in range(5):
            port = free_port()
            self.server = f"https://127.0.0.1:{port}"
            server = self.spawn("kube-apiserver", [
                program,
                f"--etcd-servers=unix://{self.directory / 'etcd.sock'}",
                "--bind-address=127.0.0.1",
                f"--secure-port={port}",
                f"--cert-dir={certificates}",
                f"--token-auth-file={tokens}",
                "--authorization-mode=RBAC",
                f"--service-account-key-file={key}",
                f"--service-account-signing-key-file={key}",
                "--service-account-issuer=https://kubernetes.default.svc",
                "--service-cluster-ip-range=10.0.0.0/24",
                "--disable-admission-plugins=ServiceAccount",  # no controller makes the accounts that it asks for
                "--endpoint-reconciler-type=none",
                "--enable-priority-and-fairness=false",
                "--max-requests-inflight=0",  # 0: no limit
                "--max-mutating-requests-inflight=0",
                *(self._audit() if self.audit else []),
            ], env={**os.environ, "GOGC": "400", "GOMEMLIMIT": "1GiB"})  # fmt: skip  # to collect garbage often takes a fifth of its time
            try:
                # The default namespace comes last, shortly after /readyz is content.
                server.wait_until(lambda: self._answers("/readyz") and self._answers(NAMESPACE_DEFAULT))
            except PortTaken:
                self.children.remove(server)
                continue
            self.write_kubeconfig(self.kubeconfig, self.token)
            return
        raise Trouble(f"No free port was found for kube-apiserver in five attempts; {server.last_words()}")

    def audited(self) -> list[dict]:
        """What service accounts have asked of the API server, as audit events."""
        return [json.loads(line) for line in (self.directory / "audit.log").read_text().splitlines()]

    def _audit(self) -> list[str]:
        rules = [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}, {"level": "None"}]
        policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": rules}
        (self.directory / "audit-policy.json").write_text(json.dumps(policy))
        return [f"--audit-policy-file={self.directory / 'audit-policy.json'}", f"--audit-log-path={self.directory / 'audit.log'}"]

    def _controller_manager(self, program: str) -> None:
        self.spawn("kube-controller-manager", [
            program,
            f"--kubeconfig={self.kubeconfig}",
            f"--controllers={','.join(self.controllers)}",
            "--namespace-sync-period=10s",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            "--secure-port=0",  # nobody asks it anything
        ])  # fmt: skip

    def ask(self, method: str, path: str, merge: dict | None = None) -> bytes:
        """A request of the administrator to the API server, and its answer."""
        body = json.dumps(merge).encode() if merge else None
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/merge-patch+json"}
        request = urllib.request.Request(self.server + path, body, headers, method=method)
        trust = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=self._certificate))
        direct = urllib.request.ProxyHandler({})
        with urllib.request.build_opener(trust, direct).open(request, timeout=5) as answer:
            return answer.read()

    def _answers(self, path: str) -> bool:
        with contextlib.suppress(OSError):
            self.ask("GET", path)
            return True
        return False

    @property
    def _certificate(self) -> Path:
        """The certificate that kube-apiserver made for itself, with its authority."""
        return self.directory / "certificates" / "apiserver.crt"

    def write_kubeconfig(self, file: Path, token: str, namespace: str = "default") -> None:
        """A way to the API server for whoever has a token."""
        authority = base64.b64encode(self._certificate.read_bytes()).decode()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "bed",
            "contexts": [{"name": "bed", "context": {"cluster": "bed", "user": "user", "namespace": namespace}}],
            "clusters": [{"name": "bed", "cluster": {"server": self.server, "certificate-authority-data": authority}}],
            "users": [{"name": "user", "user": {"token": token}}],
        }
        file.write_text(json.dumps(config, indent=2))  # JSON is YAML

    def token_of(self, service_account: str, namespace: str) -> str:
        """A token as a pod of the service account has it."""
        return self._kubectl("create", "token", service_account, "--namespace", namespace, "--duration=24h").strip()

    def _service_accounts(self, helm: str) -> None:
        names = ("serviceaccount", "rbac", "gateway/serviceaccount", "gateway/rbac", "aggregated-roles")
        gateway = f"gateway.enabled=true,gateway.askRole=arn:aws:iam::{ACCOUNT}:role/{RELEASE}-ask,gateway.tls.plaintext=true"
        values = ["--values", str(CHART / "ci" / "minimal.yaml"), "--set", f"installation={self.installation}", "--set", gateway]
        parts = [f"--show-only=templates/{name}.yaml" for name in names]
        rendered = _output([helm, "template", RELEASE, str(CHART), "--namespace", NAMESPACE, *values, *parts])
        self._kubectl("create", "namespace", NAMESPACE)
        self._kubectl("apply", "--filename", "-", input=rendered)
        for account, file in ((RELEASE, self.operator_kubeconfig), (f"{RELEASE}-gateway", self.gateway_kubeconfig)):
            self.write_kubeconfig(file, self.token_of(account, NAMESPACE), NAMESPACE)

    def _kubectl(self, *arguments: str, **options: str) -> str:
        return _output([self.kubectl, "--kubeconfig", str(self.kubeconfig), *arguments], **options)


def _output(command: list[str], **options: str) -> str:
    """What a program prints. It must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise Trouble(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout


def _die_with(parent: int) -> Callable[[], None] | None:
    """For a child's first moment: ask Linux to kill it when its parent dies, however that happens."""
    if sys.platform != "linux":
        return None
    set_parent_death_signal = ctypes.CDLL(None).prctl

    def at_start() -> None:
        set_parent_death_signal(1, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return at_start


def free_port() -> int:
    """A free port below the range from which systems take the ports of outgoing connections."""
    for port in random.sample(range(20000, 32000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise Trouble("No free port was found between 20000 and 32000 on 127.0.0.1.")


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _signing_key() -> str:
    """A new P-256 private key (SEC 1, its public half left to the reader), with which tokens are signed."""
    number = bytes(1) + secrets.token_bytes(31)
    der = bytes.fromhex("303102010104 20") + number + bytes.fromhex("a00a06082a8648ce3d030107")
    return f"-----BEGIN EC PRIVATE KEY-----\n{base64.b64encode(der).decode()}\n-----END EC PRIVATE KEY-----\n"


def up(namespaces: bool, installation: str | None, evidence: str | None) -> int:
    """Hold the bed until stdin closes."""
    controllers = ("namespace-controller",) if namespaces else ()
    with Bed(controllers, installation, evidence=evidence) as bed:
        print(json.dumps(bed.facts()), flush=True)
        while True:
            readable, _, _ = select.select([sys.stdin], [], [], 0.5)
            if readable and not os.read(sys.stdin.fileno(), 4096):
                return 0
            bed.check()


def run(command: list[str]) -> int:
    """Run one command in the bed."""
    with Bed() as bed:
        environment = {**bed.environment(), "TENANTRY_BED": json.dumps(bed.facts())}
        process = subprocess.Popen(command, env=environment, preexec_fn=_die_with(os.getpid()))
        try:
            return process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    holder = verbs.add_parser("up", help="hold the bed until stdin closes; print one line of JSON when it is ready")
    holder.add_argument("--evidence", metavar="FILE", help="write there which statements of IAM policies were needed")
    holder.add_argument("--installation", metavar="NAME", help="with the service account and the rights that the chart gives an operator")
    holder.add_argument("--namespaces", action="store_true", help="with kube-controller-manager, so that namespaces can be deleted")
    runner = verbs.add_parser("run", help="run a command in the bed")
    runner.add_argument("command", nargs="+", metavar="CMD", help="the command and its arguments, after --")
    arguments = parser.parse_args()
    prepare.let_signals_exit()
    try:
        return up(arguments.namespaces, arguments.installation, arguments.evidence) if arguments.verb == "up" else run(arguments.command)
    except (Trouble, prepare.Missing) as trouble:
        say(f"error: {trouble}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
