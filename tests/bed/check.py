"""Every check and test of this repository, in the order in which a mistake is cheapest to find."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time

import bed
import prepare
from prepare import ROOT, VENV, say

NEEDED = {
    "cargo": "Rust is needed: install it from https://rustup.rs (with the components rustfmt and clippy).",
    "cc": "A C compiler is needed to link Rust programs (Debian, Ubuntu: apt install build-essential).",
}


class Failed(Exception):
    """A step failed; its own output has said why."""


def step(title: str, *command: str) -> None:
    """Run one command under a heading, and say how long it took."""
    say(f"\n== {title}\n   {' '.join(command)}")
    begun = time.monotonic()
    code = subprocess.run(command, cwd=ROOT).returncode
    taken = f"{time.monotonic() - begun:.0f} s"
    if code != 0:
        raise Failed(f"{title} failed after {taken} (exit code {code}); the command was: {' '.join(command)}")
    say(f"   done in {taken}")


def build() -> None:
    """Compile the tests, and beside that build what they run on; each leaves a processor idle at times."""
    log = prepare.CACHE / "prepare.log"
    prepare.CACHE.mkdir(exist_ok=True)
    say(f"\n== tools: kube-apiserver, etcd and the AWS double's Python, beside the next step (log: {log.relative_to(ROOT)})")
    with open(log, "wb") as output:
        tools = subprocess.Popen([sys.executable, prepare.__file__], stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            step("build", "cargo", "test", "--no-run")
            begun = time.monotonic()
            if tools.wait() != 0:
                raise Failed(f"preparing the tools failed:\n{log.read_text()}")
            say(f"   tools ready, {time.monotonic() - begun:.0f} s later")
        finally:
            if tools.poll() is None:
                os.killpg(tools.pid, signal.SIGTERM)  # and the compilers that it started


def test() -> None:
    for program, advice in NEEDED.items():
        if not shutil.which(program):
            raise Failed(advice)
    say("Checking and testing all of Tenantry. The first run builds everything: about 15 minutes on two cores; later runs take …")
    step("format", "cargo", "fmt", "--check")
    build()
    step("lint", "cargo", "clippy", "--quiet", "--all-targets", "--", "-D", "warnings")
    step("AWS double and test bed", str(VENV / "bin" / "python"), "-m", "pytest", "-q", "tests/aws", "tests/bed")
    step("unit tests", "cargo", "test", "--quiet", "--lib")
    step("model tests", "cargo", "test", "--quiet", "--test", "model")
    step("end-to-end tests", "cargo", "test", "--test", "e2e")


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    bed.let_signals_exit()
    begun = time.monotonic()
    try:
        test()
    except Failed as failure:
        sys.exit(f"\ntest: failed: {failure}")
    say(f"\ntest: ok: everything passed in {(time.monotonic() - begun) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
