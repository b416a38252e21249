"""In place of the scheduler and a kubelet: runs the operator as a Deployment says, and tells the Deployment how it fares.

A process has the arguments, the environment and a token of the service account that its container would have. Three things
differ: it is the operator as built from this checkout; it finds the API server by a kubeconfig, because the paths at which a
pod has its token are root's; and it listens on loopback, at ports that are free.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import secrets
import threading
import urllib.error
import urllib.request
from typing import Any

from bed import Bed, Child, Trouble, free_port
from prepare import OPERATOR

DEPLOYMENTS = "/apis/apps/v1/deployments"
LISTENS = re.compile(r"(--[a-z-]+-bind-address)=.*:(\d+)")

Manifest = dict[str, Any]


@dataclasses.dataclass
class Pod:
    """One process."""

    template: str
    child: Child
    ready_at: str

    def is_ready(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(self.ready_at, timeout=2) as answer:
            return answer.status == 200
        return False


class Kubelet:
    """For the length of a `with` block, the Deployments of the bed have their pods."""

    def __init__(self, bed: Bed, environment: dict[str, str] | None = None) -> None:
        """`environment`: what the platform adds to a pod's own, as EKS adds the credentials of its role."""
        self.bed, self.environment = bed, environment or {}
        self.pods: dict[str, list[Pod]] = {}
        self.trouble: Exception | None = None
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self) -> Kubelet:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()
        self._end(sum(self.pods.values(), []))
        if self.trouble:
            raise self.trouble

    def names(self) -> list[str]:
        """Of the pods that run."""
        return [pod.child.name for pods in self.pods.values() for pod in pods]

    def _run(self) -> None:
        while not self.stop.wait(0.3):
            try:
                found = {item["metadata"]["uid"]: item for item in json.loads(self.bed.ask("GET", DEPLOYMENTS))["items"]}
                for uid in self.pods.keys() - found.keys():
                    self._end(self.pods.pop(uid))
                for uid, deployment in found.items():
                    self._sync(deployment, self.pods.setdefault(uid, []))
            except Exception as trouble:  # raised at the end of the block
                self.trouble = trouble
                return

    def _sync(self, deployment: Manifest, pods: list[Pod]) -> None:
        """As a Deployment rolls: the new pods start, and the old ones end when those are ready."""
        spec = deployment["spec"]
        template = json.dumps(spec["template"], sort_keys=True)
        old = [pod for pod in pods if pod.template != template]
        new = [pod for pod in pods if pod.template == template]
        if len(new) == spec["replicas"] and all(pod.is_ready() for pod in new):
            self._end(old)
            old = []
        while len(new) < spec["replicas"]:
            new.append(self._start(deployment, template))
        self._end(new[spec["replicas"] :])
        pods[:] = new[: spec["replicas"]] + old
        self._tell(deployment, pods, template)

    def _start(self, deployment: Manifest, template: str) -> Pod:
        metadata, pod = deployment["metadata"], deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        name, namespace = f"{metadata['name']}-{secrets.token_hex(3)}", metadata["namespace"]
        kubeconfig = self.bed.directory / f"{name}.kubeconfig"
        self.bed.write_kubeconfig(kubeconfig, self.bed.token_of(pod["serviceAccountName"], namespace), namespace)
        # Where it listens, by the port that its container declares.
        ports: dict[int, int] = {}

        def on_loopback(listens: re.Match[str]) -> str:
            ports[int(listens[2])] = free_port()
            return f"{listens[1]}=127.0.0.1:{ports[int(listens[2])]}"

        arguments = [LISTENS.sub(on_loopback, argument) for argument in container["args"]]
        environment = {variable["name"]: _value(variable, name, namespace) for variable in container["env"]}
        child = self.bed.spawn(name, [str(OPERATOR), *arguments], env={**self.environment, **environment, "KUBECONFIG": str(kubeconfig)})
        probe = container["readinessProbe"]["httpGet"]
        port = next(port["containerPort"] for port in container["ports"] if port["name"] == probe["port"])
        return Pod(template, child, f"http://127.0.0.1:{ports[port]}{probe['path']}")

    def _end(self, pods: list[Pod]) -> None:
        for pod in pods:
            self.bed.children.remove(pod.child)
            pod.child.end(patience=30)

    def _tell(self, deployment: Manifest, pods: list[Pod], template: str) -> None:
        """Write the status that the Deployment's controller would."""
        for pod in pods:
            pod.child.check()
        updated = [pod for pod in pods if pod.template == template]
        ready = [pod for pod in pods if pod.is_ready()]
        counts = {"replicas": len(pods), "updatedReplicas": len(updated), "readyReplicas": len(ready), "availableReplicas": len(ready)}
        done = len(ready) == len(updated) == len(pods) == deployment["spec"]["replicas"]
        progress = "NewReplicaSetAvailable" if done else "ReplicaSetUpdated"
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            **counts,
            "conditions": [
                {"type": "Available", "status": "True" if ready else "False", "reason": "MinimumReplicasAvailable"},
                {"type": "Progressing", "status": "True", "reason": progress},
            ],
        }
        metadata = deployment["metadata"]
        path = f"/apis/apps/v1/namespaces/{metadata['namespace']}/deployments/{metadata['name']}/status"
        with contextlib.suppress(urllib.error.HTTPError):  # it may be gone by now
            self.bed.ask("PATCH", path, {"status": status})


def _value(variable: Manifest, name: str, namespace: str) -> str:
    if "value" in variable:
        return variable["value"]
    fields = {"metadata.name": name, "metadata.namespace": namespace}
    path = variable["valueFrom"]["fieldRef"]["fieldPath"]
    if path not in fields:
        raise Trouble(f"the field {path} is not known here")
    return fields[path]
