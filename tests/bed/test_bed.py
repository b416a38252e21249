"""The bed comes up, can be used, and leaves nothing behind, however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

BED = [sys.executable, str(Path(__file__).with_name("bed.py"))]


def processes_in(directory: str) -> list[int]:
    """The processes whose command line names the directory, those aside that ended and wait for their parent."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if directory.encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:  # it ended while we looked
            pass
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and relies on Linux to end the children of a killed parent")
@pytest.mark.parametrize("way, code", [("stdin", 0), (signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGKILL, -signal.SIGKILL)])
def test_every_process_ends_with_the_bed(way: str | signal.Signals, code: int, tmp_path: Path) -> None:
    bed = subprocess.Popen([*BED, "up"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path)})
    facts = json.loads(bed.stdout.readline())
    assert len(processes_in(facts["dir"])) >= 2

    if way == "stdin":
        bed.stdin.close()
    else:
        bed.send_signal(way)

    assert bed.wait(20) == code
    deadline = time.monotonic() + 5
    while processes_in(facts["dir"]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_in(facts["dir"]) == []
    assert way is signal.SIGKILL or not Path(facts["dir"]).exists()


def test_run_reaches_both_worlds_and_passes_the_exit_code_on(tmp_path: Path) -> None:
    script = 'kubectl get namespace default -o name && test "$AWS_ENDPOINT_URL" && test "$TENANTRY_BED" && exit 7'
    done = subprocess.run([*BED, "run", "--", "sh", "-c", script], capture_output=True, text=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert (done.stdout, done.returncode) == ("namespace/default\n", 7), done.stderr
