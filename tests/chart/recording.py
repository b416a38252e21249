"""What an operator says of itself during a run, recorded: the alerts are tried on it, and the picture of the dashboard is drawn of it.

    .cache/venv/bin/python tests/chart/recording.py     let the demo run, with more tenants and some trouble after it, and record it

The file has a line for each series: the number of each scrape at which its value changed, and the value, or nothing where it ended."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

import chart  # noqa: F401  it says where the bed is
import prepare
from bed import Bed, Child, Trouble
from demo import INSTALLATION, NAMESPACE, Demo, condition, name
from promql import Labels, Recording

FILE = Path(__file__).with_name("recorded.txt")
EVERY = 2  # seconds
LINE = re.compile(r"([a-z_]+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'([a-z_]+)="([^"]*)"')

Page = dict[str, str]  # values by series, as the operator writes both


def labels(series: str) -> Labels:
    metric, inner = re.fullmatch(r"([a-z_]+)(?:\{(.*)\})?", series).groups()
    return frozenset([("__name__", metric), *(pair for pair in LABEL.findall(inner or "") if pair[1])])


def page(text: str) -> Page:
    """The samples of a page of metrics."""
    found = (LINE.fullmatch(line) for line in text.splitlines() if not line.startswith("#"))
    return {line[1] + (f"{{{line[2]}}}" if line[2] else ""): line[3] for line in found}


def write(start: float, pages: list[Page], file: Path = FILE) -> None:
    lines = [f"# Written by tests/chart/recording.py: {len(pages)} scrapes, one every {EVERY} s from {start:.0f}"]
    for series in sorted(set().union(*pages)):
        values = [it.get(series, "") for it in pages]
        changes = [f"{i}:{now.removesuffix('.0')}" for i, (before, now) in enumerate(zip(["", *values], values)) if now != before]
        lines.append(f"{series} {' '.join(changes)}")
    file.write_text("\n".join(lines) + "\n")


def read(file: Path = FILE) -> Recording:
    head, *lines = file.read_text().splitlines()
    count, every, start = map(int, re.search(r"(\d+) scrapes, one every (\d+) s from (\d+)", head).groups())
    times = [start + every * scrape for scrape in range(count)]
    series = {}
    for line in lines:
        written, *changes = re.fullmatch(r"(\S+(?:\{.*\})?)((?: \d+:\S*)+)", line).groups()
        at = {int(scrape): value for scrape, _, value in (change.partition(":") for change in changes[0].split())}
        samples, now = [], ""
        for scrape, moment in enumerate(times):
            now = at.get(scrape, now)
            if now:
                samples.append((moment, float(now)))
        series[labels(written)] = samples
    return Recording(times, series)


# -- The run


class Scraped(Bed):
    """A bed whose operator is scraped as long as it runs."""

    pages: list[Page]
    start: float

    def spawn(self, name: str, command: list[str], **options: object) -> Child:
        if name != "operator":
            return super().spawn(name, command, **options)
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
        child = super().spawn(name, [*command, "--metrics-bind-address", address], **options)
        self.pages, self.over = [], threading.Event()
        threading.Thread(target=self._scrape, args=[f"http://{address}/metrics"], daemon=True).start()
        return child

    def _scrape(self, url: str) -> None:
        self.start = time.time()
        while not self.over.wait(max(0, self.start + EVERY * len(self.pages) - time.time())):
            text = ""
            with contextlib.suppress(OSError):
                text = urllib.request.urlopen(url, timeout=EVERY).read().decode()
            self.pages.append(page(text))


class Busy(Demo):
    """The demo, and after it more tenants than that, some of them in trouble."""

    def run(self) -> tuple[int, int]:
        self.double("PUT", "settings", switches={"legacy_models": [["amazon.titan-embed-text-v2:0", 400]]})
        outcome = super().run()
        print("\n== More tenants come, and AWS throttles and denies some calls")
        pools = [f"pool-{number}" for number in range(40)]
        bridges = [f"bridge-{number}" for number in range(6)]
        self.fault(operation="CreateKnowledgeBase", fault="denied", count=2)
        self.fault(service="iam", fault="throttled", count=20)
        self.apply([self.tenant(name, "Pool") for name in pools] + [self.tenant(name, "Bridge") for name in bridges])
        self.apply([self.tenant("no-stack", "Pool", stack="missing"), self.tenant("taken", "Pool", id=pools[-1])])
        self.until(lambda: self.are_ready(pools + bridges), "they are Ready")
        for tenant in self.get("tenants"):
            if name(tenant) in pools + bridges:
                where = tenant["status"]
                for number in range(6):
                    text = f"# Notes {number}\n\nOffice {number} of {name(tenant)} opens at nine."
                    self.s3.put_object(Bucket=where["bucket"], Key=f"{where['prefix']}notes-{number}.md", Body=text.encode())
        self.fault(service="s3", operation="PutObject", first=50, fault="throttled", count=100)
        moment = str(int(time.time()))
        for kind, which in (("sharedstacks.tenantry.dev", ["standard"]), ("tenants.tenantry.dev", bridges)):
            self.kubectl("annotate", "-n", NAMESPACE, kind, *which, f"tenantry.dev/sync-requested-at={moment}")
        time.sleep(30)
        print("== AWS fails for a while, and some of them leave")
        self.fault(service="bedrock-agent", fault="failed", count=30)
        going = pools[:10] + bridges[:2]
        self.kubectl("delete", "-n", NAMESPACE, "--wait=false", "tenants.tenantry.dev", *going)
        self.until(lambda: not {name(tenant) for tenant in self.get("tenants")} & set(going), "they are gone")
        time.sleep(10)
        return outcome

    def fault(self, **rule: object) -> None:
        self.double("POST", "faults", **rule)

    def double(self, method: str, what: str, **given: object) -> None:
        """Have the double of AWS behave otherwise, as tests/aws/README.md has it."""
        headers = {"Content-Type": "application/json"}
        url = f"{self.bed.aws_endpoint}/_double/{what}"
        urllib.request.urlopen(urllib.request.Request(url, json.dumps(given).encode(), headers, method=method)).read()

    def tenant(self, name: str, pattern: str, stack: str = "standard", id: str = "") -> dict[str, object]:
        spec = {"tenantId": id or name, "pattern": pattern, "stackRef": {"name": stack}, "deletionPolicy": "Delete"}
        return {"apiVersion": "tenantry.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}

    def apply(self, manifests: list[dict[str, object]]) -> None:
        file = self.bed.directory / "more.yaml"
        file.write_text(yaml.safe_dump_all(manifests))
        self.kubectl("apply", "-f", file)

    def are_ready(self, names: list[str]) -> bool:
        ready = {name(tenant) for tenant in self.get("tenants") if condition(tenant | {"status": tenant.get("status", {})}, "Ready") == "True"}
        return ready >= set(names)

    def until(self, is_so: Callable[[], bool], what: str, seconds: float = 180) -> None:
        deadline = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > deadline:
                raise Trouble(f"after {seconds:.0f} s it was not so that {what}{self.conditions(self.get('tenants'))}")
            self.bed.check()
            time.sleep(1)


@contextlib.contextmanager
def scraped() -> Iterator[Scraped]:
    with Scraped(installation=INSTALLATION) as bed:
        yield bed
        bed.over.set()
        write(bed.start, bed.pages)


def main() -> None:
    prepare.let_signals_exit()
    sys.stdout.reconfigure(line_buffering=True)
    try:
        with scraped() as bed:
            Busy(bed).run()
    except Trouble as trouble:
        sys.exit(f"error: {trouble}")
    print(f"\nRecorded {len(bed.pages)} scrapes in {FILE.relative_to(prepare.ROOT)}.")


if __name__ == "__main__":
    main()
