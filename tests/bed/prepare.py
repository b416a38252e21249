"""Build, once, what the tests need beside the Rust program.

* `.cache/bin`: kube-apiserver, etcd, helm, (where the machine has none) kubectl and, for some tests,
  kube-controller-manager and readers, a program of our own, from the Go modules in `tests/assets`. `KUBEBUILDER_ASSETS` is used instead
  if it names a directory that holds them.
* `.cache/venv`: the Python environment of the AWS double, from `tests/aws/requirements.txt`, and in it the programs of
  `tests/bed/requirements.txt`, where they are to be had for the machine.
* `.cache/clients`: what else asks the gateway as it comes from its makers, where it is to be had for the machine: the AWS SDK for
  JavaScript and LangChain's retriever, from the locks in `tests/assets/clients`.

What is built carries a stamp of what it was built from; a second run does nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
BIN = CACHE / "bin"
VENV = CACHE / "venv"
OPERATOR = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug" / "tenantry"
REQUIREMENTS = ROOT / "tests" / "aws" / "requirements.txt"
PROGRAMS = ROOT / "tests" / "bed" / "requirements.txt"
CLIENTS = CACHE / "clients"
CLIENT_LOCKS = ROOT / "tests" / "assets" / "clients"

RUST = {
    "cargo": "Rust is needed: install it from https://rustup.rs, with the components rustfmt and clippy.",
    "cc": "A C compiler is needed to link Rust programs (Debian, Ubuntu: apt install build-essential).",
}


class Missing(Exception):
    """Something that the reader must install or repair; the message says what and how."""


@dataclasses.dataclass(frozen=True)
class Tool:
    """A program that is built from a Go module below `tests/assets`."""

    name: str
    module: str
    package: str
    minutes: str


TOOLS = {
    tool.name: tool
    for tool in [
        Tool("etcd", "etcd", "go.etcd.io/etcd/server/v3", "1 to 2 minutes"),
        Tool("kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver", "3 to 6 minutes"),
        Tool("kubectl", "kubernetes", "k8s.io/kubernetes/cmd/kubectl", "1 minute"),
        Tool("readers", "readers", ".", "less than a minute"),
        Tool("kube-controller-manager", "kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager", "2 to 4 minutes"),
        Tool("helm", "helm", "helm.sh/helm/v4/cmd/helm", "1 to 2 minutes"),
    ]
}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def tool(name: str) -> Path:
    """The path of a Kubernetes program, built first if it has to be."""
    if name == "kubectl" and (installed := shutil.which("kubectl")):
        return Path(installed)
    if given := os.environ.get("KUBEBUILDER_ASSETS"):
        if os.access(found := Path(given) / name, os.X_OK):
            return found
        say(f"KUBEBUILDER_ASSETS ({given}) does not hold {name}; it is built instead.")
    return _go_build(TOOLS[name])


def venv() -> Path:
    """The Python of the AWS double's environment, installed first if it has to be."""
    python, stamp = VENV / "bin" / "python", VENV / "tenantry.stamp"
    want = _digest(REQUIREMENTS, PROGRAMS)
    with _alone("venv"):
        if python.exists() and _read(stamp) == want:
            return python
        say("Installing the AWS double's Python packages into .cache/venv (less than a minute) …")
        if not python.exists():
            _run([sys.executable, "-m", "venv", str(VENV)], "Python's venv module is needed (Debian, Ubuntu: apt install python3-venv).")
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        _run([*pip, "--require-hashes", "-r", str(REQUIREMENTS)], "pip could not install tests/aws/requirements.txt; is the package index reachable?")
        if subprocess.run([*pip, "--require-hashes", "-r", str(PROGRAMS)], stdout=sys.stderr, cwd=ROOT).returncode != 0:
            say("The programs of tests/bed/requirements.txt are not to be had for this machine; what needs them is left out.")
        stamp.write_text(want)
    return python


def clients() -> list[str]:
    """Install the clients that not every machine can have, unless they are there; returns what is left out, and why."""
    with _alone("clients"):
        return [why for why in (_javascript(), _langchain()) if why]


def _javascript() -> str | None:
    home, files = CLIENTS / "js", [CLIENT_LOCKS / name for name in ("package.json", "package-lock.json")]
    if not (shutil.which("node") and shutil.which("npm")):
        return "the AWS SDK for JavaScript, because there is no Node (Debian, Ubuntu: apt install nodejs npm)"
    return _installed("the AWS SDK for JavaScript", home, files, [["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]])


def _langchain() -> str | None:
    home, lock = CLIENTS / "langchain", CLIENT_LOCKS / "requirements.txt"
    pip = [str(home / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    make = [[sys.executable, "-m", "venv", str(home)], [*pip, "--require-hashes", "-r", lock.name]]
    return _installed("LangChain's retriever", home, [lock], make)


def _installed(what: str, home: Path, files: list[Path], commands: list[list[str]]) -> str | None:
    """Make a client from its lock, beside a copy of it; says why it could not be done."""
    stamp, want = home / "tenantry.stamp", _digest(*files)
    if _read(stamp) == want:
        return None
    say(f"Installing {what} into .cache/clients (less than a minute) …")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    for file in files:
        shutil.copy(file, home)
    for command in commands:
        if subprocess.run(command, stdout=sys.stderr, cwd=home).returncode != 0:
            shutil.rmtree(home, ignore_errors=True)
            return f"{what}, because it could not be installed (`{' '.join(command)}`)"
    stamp.write_text(want)
    return None


def everything(tests: bool = False) -> None:
    """All that `make demo` needs, and what some tests need beside."""
    for name in ("etcd", "kube-apiserver", "kubectl", "helm", *(["kube-controller-manager", "readers"] if tests else [])):
        tool(name)
    venv()
    for why in clients() if tests else []:
        say(f"Left out: {why}.")


@contextlib.contextmanager
def everything_beside(*options: str) -> Iterator[None]:
    """Prepare while the block compiles Rust: each leaves a processor idle at times."""
    CACHE.mkdir(exist_ok=True)
    log = CACHE / "prepare.log"
    with open(log, "wb") as output:
        work = subprocess.Popen([sys.executable, __file__, *options], stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        yield
        if work.poll() is None:
            say(f"Waiting for kube-apiserver, etcd and Python packages (log: {log.relative_to(ROOT)}) …")
        if work.wait() != 0:
            raise Missing(log.read_text().strip().removeprefix("error: "))
    finally:
        if work.poll() is None:
            os.killpg(work.pid, signal.SIGTERM)  # and the compilers that it started


def let_signals_exit() -> None:
    """Turn the signals that end a program into SystemExit, so that every `with` is left in order."""

    def leave(number: int, _: object) -> None:
        sys.exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


def need_rust() -> None:
    """Fail early, and helpfully, where Rust programs cannot be built."""
    for program, advice in RUST.items():
        if not shutil.which(program):
            raise Missing(advice)


def _go_build(wanted: Tool) -> Path:
    module, target, stamp = ROOT / "tests" / "assets" / wanted.module, BIN / wanted.name, BIN / f"{wanted.name}.stamp"
    version = _kubernetes_version(module / "go.mod")
    flags = ["-trimpath", "-buildvcs=false", "-ldflags", f"-s -w{version}"]
    sources = sorted(module.glob("*.go"))  # of a program of our own
    want = _digest(module / "go.mod", module / "go.sum", *sources, salt=" ".join(flags))
    with _alone(wanted.name):
        if target.exists() and _read(stamp) == want:
            return target
        if not shutil.which("go"):
            raise Missing(
                f"Go is needed to build {wanted.name}: install it from https://go.dev/dl, or set KUBEBUILDER_ASSETS "
                "to a directory that holds kube-apiserver and etcd."
            )
        BIN.mkdir(parents=True, exist_ok=True)
        say(f"Building {wanted.name} from source, once ({wanted.minutes} on two cores) …")
        begun = time.monotonic()
        _run(["go", "build", "-C", str(module), *flags, "-o", str(target), wanted.package], f"Go could not build {wanted.name}; is its module proxy reachable?")
        stamp.write_text(want)
        say(f"Built {wanted.name} in {time.monotonic() - begun:.0f} s.")
    return target


def _kubernetes_version(go_mod: Path) -> str:
    """Linker flags that tell Kubernetes programs their version, which a plain `go build` leaves out."""
    for line in go_mod.read_text().splitlines():
        if line.strip().startswith("k8s.io/kubernetes v"):
            version = line.split()[1]
            major, minor, _ = version.removeprefix("v").split(".", 2)
            facts = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
            return "".join(f" -X k8s.io/component-base/version.{key}={value}" for key, value in facts.items())
    return ""


@contextlib.contextmanager
def _alone(name: str) -> Iterator[None]:
    """One process at a time prepares a thing; the others wait for it and find it done."""
    CACHE.mkdir(exist_ok=True)
    with open(CACHE / f"{name}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Another process is preparing {name}; waiting for it …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _digest(*files: Path, salt: str = "") -> str:
    return hashlib.sha256(b"\0".join([salt.encode(), *(file.read_bytes() for file in files)])).hexdigest()


def _read(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def _run(command: list[str], advice: str) -> None:
    if subprocess.run(command, stdout=sys.stderr, cwd=ROOT).returncode != 0:
        raise Missing(f"{advice} The command was: {' '.join(command)}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Build what the tests need, once; a second run does nothing.")
    parser.add_argument("--operator", action="store_true", help="build the operator as well, at the same time")
    parser.add_argument("--tests", action="store_true", help="build what only tests need as well")
    parser.add_argument("tool", nargs="*", choices=[[], *TOOLS], metavar="PROGRAM", help=f"build only these and print their paths: {', '.join(TOOLS)}")
    arguments = parser.parse_args()
    let_signals_exit()
    try:
        if arguments.operator:
            need_rust()
            say("Building the operator (a debug build, which tests share) and what it runs on. The first time this takes 10 to 15 minutes on two cores.")
            with everything_beside():
                # With a test beside it, or Cargo builds all dependencies again with other features than the tests have.
                _run(["cargo", "build", "--locked", "--bin", "tenantry", "--test", "model"], "The operator could not be built; cargo has said why above.")
        elif not arguments.tool:
            everything(arguments.tests)
        for name in arguments.tool:
            print(tool(name))
    except Missing as missing:
        sys.exit(f"error: {missing}")


if sys.version_info < (3, 11):
    sys.exit(f"error: Python 3.11 or newer is needed; this is {sys.version.split()[0]}.")

if __name__ == "__main__":
    main()
