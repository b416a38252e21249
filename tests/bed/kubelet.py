"""In place of the scheduler and a kubelet: runs the program as Deployments say, and tells the Deployments how it fares.

A process has the arguments, the environment, the files and a token of the service account that its container would have. Three
things differ: it is the program as built from this checkout; it finds the API server by a kubeconfig, and Secrets and ConfigMaps
in folders of the bed, because the paths at which a pod has them are root's; and it listens on loopback, at ports that are free.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import re
import secrets
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from bed import Bed, Child, Trouble, free_port
from prepare import OPERATOR

DEPLOYMENTS = "/apis/apps/v1/deployments"
# How often a pod is started again before that is taken for trouble.
RESTARTS = 5
LISTENS = re.compile(r"(--(?:[a-z-]+-)?bind-address)=.*:(\d+)")

Manifest = dict[str, Any]


@dataclasses.dataclass(eq=False)
class Pod:
    """What one process after the other runs in."""

    name: str
    template: str
    run: Callable[[str], Child]
    ready_at: str
    ports: dict[str, int]
    restarts: int = 0

    def __post_init__(self) -> None:
        self.child = self.run(self.name)

    def is_ready(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(self.ready_at, timeout=2) as answer:
            return answer.status == 200
        return False

    def keep_running(self) -> bool:
        """Start the process again if it has ended by itself, and say so; but not for ever."""
        if self.child.process.poll() is None:
            return False
        if self.restarts == RESTARTS:
            self.child.check()
        self.child.end()
        self.restarts += 1
        self.child = self.run(f"{self.name}-{self.restarts}")
        return True


class Kubelet:
    """For the length of a `with` block, the Deployments of the bed have their pods."""

    def __init__(self, bed: Bed, environments: dict[str, dict[str, str]] | None = None) -> None:
        """`environments`: what the platform adds to the pods of a service account, as EKS adds the credentials of its role."""
        self.bed, self.environments = bed, environments or {}
        self.pods: dict[str, list[Pod]] = {}
        self.lock = threading.Lock()  # the pods are the thread's, and others read them
        self.restarts = 0  # of pods that are gone, too
        self.trouble: Exception | None = None
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self) -> Kubelet:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()
        if self.trouble:
            raise self.trouble

    def names(self) -> list[str]:
        """Of the pods that run, until they have ended."""
        with self.lock:
            return [pod.name for pods in self.pods.values() for pod in pods]

    def ports(self, prefix: str, port: str) -> list[int]:
        """At which ports on loopback pods whose names begin so listen, by the name of the container's port."""
        with self.lock:
            return [pod.ports[port] for pods in self.pods.values() for pod in pods if pod.name.startswith(prefix)]

    def kill(self, name: str) -> None:
        """As where memory ran out."""
        with self.lock:
            (pod,) = [pod for pods in self.pods.values() for pod in pods if pod.name == name]
        pod.child.process.kill()

    def _run(self) -> None:
        try:
            while not self.stop.wait(0.3):
                found = {item["metadata"]["uid"]: item for item in json.loads(self.bed.ask("GET", DEPLOYMENTS))["items"]}
                for uid in self.pods.keys() - found.keys():
                    self._end(uid, self.pods[uid])
                for uid, deployment in found.items():
                    self._sync(uid, deployment)
        except Exception as trouble:  # raised at the end of the block
            self.trouble = trouble
        finally:
            # Here, because a process ends at once when the thread ends that has started it.
            for uid in list(self.pods):
                self._end(uid, self.pods[uid])

    def _sync(self, uid: str, deployment: Manifest) -> None:
        """As a Deployment replaces pods: the old ones end when the new ones are ready or, with Recreate, before they start."""
        spec = deployment["spec"]
        template = json.dumps(spec["template"], sort_keys=True)
        pods = self.pods.get(uid, [])
        self.restarts += sum(pod.keep_running() for pod in pods)
        new = [pod for pod in pods if pod.template == template]
        if spec["strategy"]["type"] == "Recreate" or (len(new) == spec["replicas"] and all(pod.is_ready() for pod in new)):
            self._end(uid, [pod for pod in pods if pod not in new])
        self._end(uid, new[spec["replicas"] :])
        for _ in range(spec["replicas"] - len(new)):
            pod = self._start(deployment, template)
            with self.lock:
                self.pods.setdefault(uid, []).append(pod)
        self._tell(deployment, self.pods.get(uid, []), template)

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
        variables = {variable["name"]: _value(variable, name, namespace) for variable in container["env"]}
        for path, folder in self._mounted(pod, name, namespace).items():
            arguments = [argument.replace(path, folder) for argument in arguments]
            variables = {variable: value.replace(path, folder) for variable, value in variables.items()}
        added = self.environments.get(pod["serviceAccountName"], {})
        environment = {**added, **variables, "KUBECONFIG": str(kubeconfig)}
        probe = container["readinessProbe"]["httpGet"]
        listens = {port["name"]: ports[port["containerPort"]] for port in container["ports"]}

        def run(log: str) -> Child:
            return Child(log, [str(OPERATOR), *arguments], self.bed.directory, env=environment)

        return Pod(name, template, run, f"http://127.0.0.1:{listens[probe['port']]}{probe['path']}", listens)

    def _mounted(self, pod: Manifest, name: str, namespace: str) -> dict[str, str]:
        """The folder in place of each path at which a Secret or a ConfigMap is mounted, with the files that the pod has there."""
        folders = {}
        volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
        for mount in pod["containers"][0].get("volumeMounts", []):
            volume = volumes[mount["name"]]
            if source := volume.get("secret"):
                path, items = f"secrets/{source['secretName']}", source["items"]
            elif source := volume.get("configMap"):
                path, items = f"configmaps/{source['name']}", source["items"]
            else:
                raise Trouble(f"no volume of this kind is known here: {volume}")
            data = json.loads(self.bed.ask("GET", f"/api/v1/namespaces/{namespace}/{path}"))["data"]
            folder = self.bed.directory / f"{name}.volumes" / mount["name"]
            folder.mkdir(parents=True, mode=0o700)
            for item in items:
                content = data[item["key"]]
                (folder / item["path"]).write_bytes(base64.b64decode(content) if "secret" in volume else content.encode())
            folders[mount["mountPath"]] = str(folder)
        return folders

    def _end(self, uid: str, pods: list[Pod]) -> None:
        """End pods side by side, and forget them when they have ended."""
        for pod in pods:
            pod.child.process.terminate()
        for pod in pods:
            pod.child.end(patience=30)
        with self.lock:
            self.pods[uid] = [pod for pod in self.pods.get(uid, []) if pod not in pods]
            if not self.pods[uid]:
                del self.pods[uid]

    def _tell(self, deployment: Manifest, pods: list[Pod], template: str) -> None:
        """Write the status that the Deployment's controller would."""
        updated = [pod for pod in pods if pod.template == template]
        ready = [pod for pod in pods if pod.is_ready()]
        counts = {"replicas": len(pods), "updatedReplicas": len(updated), "readyReplicas": len(ready), "availableReplicas": len(ready)}
        done = len(ready) == len(updated) == len(pods) == deployment["spec"]["replicas"]
        progress = "NewReplicaSetAvailable" if done else "ReplicaSetUpdated"
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            **counts,
            "conditions": [
                {"type": "Available", "status": str(len(ready) >= deployment["spec"]["replicas"]), "reason": "MinimumReplicasAvailable"},
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
