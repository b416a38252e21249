"""Every check and test of this repository, cheapest first."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time

import prepare
from prepare import ROOT, VENV, say


class Failed(Exception):
    """A step failed; its own output has said why."""


def step(title: str, *command: str) -> None:
    """Run one command under a heading, and say how long it took."""
    say(f"\n== {title}: {' '.join(command)}")
    begun = time.monotonic()
    code = subprocess.run(command, cwd=ROOT).returncode
    taken = time.monotonic() - begun
    if code != 0:
        raise Failed(f"{title} failed after {taken:.0f} s with exit code {code}; the command was: {' '.join(command)}")
    say(f"   {title}: {taken:.0f} s")


def test() -> None:
    prepare.need_rust()
    say("Checking and testing everything. The first run compiles Rust and Go programs and takes about 10 minutes on two cores.")
    step("format", "cargo", "fmt", "--check")
    with prepare.everything_beside("--tests"):
        step("build", "cargo", "test", "--no-run")
    step("lint", "cargo", "clippy", "--all-targets", "--", "-D", "warnings")
    step("double and bed", str(VENV / "bin" / "python"), "-m", "pytest", "-q", "tests/aws", "tests/bed")
    step("chart", str(VENV / "bin" / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/chart")
    step("unit tests", "cargo", "test", "--lib")
    step("model tests", "cargo", "test", "--test", "model")
    step("end-to-end tests", "cargo", "test", "--test", "e2e")
    step("readers of their statuses", sys.executable, "tests/bed/readers.py")
    step("rights that they needed", sys.executable, "tests/bed/rights.py")
    image()


def image() -> None:
    """The container image takes a program that not every machine has."""
    if shutil.which("buildah"):
        step("container image", str(VENV / "bin" / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/image")
    elif os.environ.get("CI"):
        raise Failed("buildah is needed to build the container image (Debian, Ubuntu: apt install buildah)")
    else:
        say("\n== container image: not built and not tested, because there is no buildah (Debian, Ubuntu: apt install buildah)")


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    prepare.let_signals_exit()
    begun = time.monotonic()
    try:
        test()
    except (Failed, prepare.Missing) as failure:
        sys.exit(f"\ntest: failed: {failure}")
    say(f"\ntest: ok: everything passed in {(time.monotonic() - begun) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
