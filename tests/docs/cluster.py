"""What kubectl asks of a cluster, as far as the pages under docs/ need it, so that their commands are run as they stand.

    python cluster.py FOLDER

Its address is written to FOLDER/kubeconfig. There is one node, this machine: a pod is a few processes, and an address of its
own within 127.0.1.0/24 in place of a network. Of images there are two, `authtap` and the application, which wants a token.
"""

import base64
import http.server
import json
import os
import pathlib
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.parse
import zlib

from kubernetes_validate import ValidationError

ROOT = pathlib.Path(__file__).parent.parent.parent
sys.path.append(str(ROOT / "tests/deploy"))
# Nothing is left beside what is imported.
sys.dont_write_bytecode = True
import manifests

FOLDER = pathlib.Path(sys.argv[1])
NAMESPACE = "default"
# What the name of a pod has behind that of its deployment is made up by a cluster, and the pages show one.
POD = "{}-5d8f7c9b6-x2x4q"

# What the image sets itself.
IMAGE = dict(re.findall(r"^ENV (\w+)=(.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))

# The kinds, by group and version and by the name in paths.
RESOURCES = {
    ("", "v1"): {"pods": "Pod", "services": "Service", "secrets": "Secret"},
    ("apps", "v1"): {"deployments": "Deployment"},
    ("networking.k8s.io", "v1"): {"ingresses": "Ingress"},
}


def base_of(group, version):
    return f"/apis/{group}/{version}" if group else f"/api/{version}"


class Refused(Exception):
    """An answer that is no success: its status, its reason and a sentence."""


class Cluster:
    """The objects that there are, and the pods that run."""

    def __init__(self):
        self.lock = threading.RLock()
        self.objects = {}
        self.pods = {}
        self.pods_made = 0
        self.count = 0

    def get(self, resource, name):
        with self.lock:
            if (resource, name) not in self.objects:
                raise Refused(404, "NotFound", f'{resource} "{name}" not found')
            return self.objects[resource, name]

    def list(self, resource, query):
        selector = dict(pair.split("=", 1) for pair in query.get("labelSelector", "").split(",") if pair)
        field = query.get("fieldSelector", "").removeprefix("metadata.name=")
        with self.lock:
            found = [one for (kind, _), one in self.objects.items() if kind == resource]
        found = [one for one in found if not field or one["metadata"]["name"] == field]
        labels = lambda one: one["metadata"].get("labels", {})
        return [one for one in found if selector.items() <= labels(one).items()]

    def create(self, resource, made):
        try:
            manifests.kubernetes([made])
        except ValidationError as error:
            raise Refused(400, "BadRequest", f"{error.message} at {error.path}") from error
        name = made["metadata"]["name"]
        with self.lock:
            if (resource, name) in self.objects:
                raise Refused(409, "AlreadyExists", f'{resource} "{name}" already exists')
            self.count += 1
            metadata = {"namespace": NAMESPACE, "uid": str(self.count), "resourceVersion": str(self.count)}
            made["metadata"] |= metadata | {"generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"}
            self.objects[resource, name] = made
        if resource == "deployments":
            try:
                self.deploy(made)
            except Refused:
                del self.objects[resource, name]
                self.objects.pop(("pods", POD.format(name)), None)
                raise
        return made

    def deploy(self, deployment):
        name = deployment["metadata"]["name"]
        template = deployment["spec"]["template"]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": POD.format(name), "labels": template["metadata"]["labels"]},
            "spec": {"securityContext": {}} | template["spec"],
        }
        self.create("pods", pod)
        self.pods_made += 1
        made = self.pods[POD.format(name)] = Pod(pod, f"127.0.1.{self.pods_made}")
        made.start_all(self)
        pod["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        numbers = ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"]
        deployment["status"] = dict.fromkeys(numbers, 1) | {"observedGeneration": 1}

    def pod(self, name):
        self.get("pods", name)
        return self.pods[name]

    def debug(self, name, patch):
        """Adds ephemeral containers to a pod."""
        pod = self.get("pods", name)
        for container in patch["spec"]["ephemeralContainers"]:
            pod["spec"].setdefault("ephemeralContainers", []).append(container)
            self.pod(name).start(container)
        return pod


def fields(message):
    """The numbers and values of a message in protocol buffers, of those that have a length."""
    at = 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = number()
        length = number()
        if key & 7 == 2:
            yield key >> 3, message[at : at + length]
            at += length


def secret_of(body):
    """A Secret in protocol buffers, in which kubectl sends what it makes itself."""
    raw = dict(fields(body.removeprefix(b"k8s\0")))[2]
    name = dict(fields(dict(fields(raw))[1]))[1].decode()
    pairs = [dict(fields(value)) for number, value in fields(raw) if number == 2]
    data = {pair[1].decode(): base64.b64encode(pair[2]).decode() for pair in pairs}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}


class Pod:
    """Containers, in the order in which they start."""

    def __init__(self, pod, addr):
        self.spec = pod["spec"]
        self.addr = addr
        self.folder = FOLDER / pod["metadata"]["name"]
        self.running = []

    def start_all(self, cluster):
        for volume in self.spec.get("volumes", []):
            secret = cluster.get("secrets", volume["secret"]["secretName"])
            place = self.folder / volume["name"]
            place.mkdir(parents=True, exist_ok=True)
            for file, text in secret["data"].items():
                (place / file).write_bytes(base64.b64decode(text))
        for container in self.spec.get("initContainers", []) + self.spec["containers"]:
            self.start(container)

    def here(self, text, mounts=()):
        """What a container has in its settings, with addresses and paths as they are on this machine."""
        for mount in mounts:
            text = text.replace(mount["mountPath"] + "/", f"{self.folder / mount['name']}/")
        return re.sub(r"(^|@|//)(?:0\.0\.0\.0|127\.0\.0\.1)?:(?=\d)", rf"\g<1>{self.addr}:", text)

    def start(self, container):
        if not container["image"].startswith("authtap:"):
            return self.serve(container["ports"][0]["containerPort"])
        mounts = container.get("volumeMounts", [])
        settings = IMAGE | {one["name"]: self.here(one["value"], mounts) for one in container.get("env", [])}
        command = container.get("command", ["/authtap"]) + container.get("args", [])
        command = [command[0].removeprefix("/")] + [self.here(word) for word in command[1:]]
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / f"{container['name']}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(command, env=os.environ | settings, stdout=file, stderr=file)
        self.running.append(process)
        # It says where it listens as soon as it does.
        for _ in range(3000):
            if b"Point your client" in log.read_bytes():
                return
            if process.poll() is not None:
                break
            time.sleep(0.01)
        raise Refused(500, "InternalError", f"{command} did not start: {log.read_text()}")

    def serve(self, port):
        server = http.server.ThreadingHTTPServer((self.addr, port), Application)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def containers(self, *kinds):
        return [one for kind in kinds for one in self.spec.get(kind, [])]

    def log(self, name):
        name = name or self.spec["containers"][0]["name"]
        if name not in [one["name"] for one in self.containers("initContainers", "containers", "ephemeralContainers")]:
            raise Refused(400, "BadRequest", f"there is no container {name}")
        return self.folder / f"{name}.log"

    def port(self):
        """The port that is forwarded to: the tap's, in a container or in one that was added."""
        containers = self.containers("containers", "ephemeralContainers")
        named = [port["containerPort"] for one in containers for port in one.get("ports", []) if port.get("name") == "http"]
        told = [int(port) for one in containers for word in one.get("command", []) for port in re.findall(r":(\d+)=", word)]
        return (named + told)[-1]


class Application(http.server.BaseHTTPRequestHandler):
    """What everybody may ask is whether it is well; for anything else it wants a token."""

    def do_GET(self):
        if self.path == "/healthz" or self.headers.get("Authorization", "").startswith("Bearer "):
            self.send_response(200)
        else:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Bearer realm="orders"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format, *words):
        pass


class Spdy:
    """A connection that carries others (SPDY/3.1), as kubectl opens it to forward a port: for each connection to that port two
    streams, one for errors, on which it says nothing, and one for the bytes.

    Of the streams' headers nothing is read, so it is not known here which port was asked for; kubectl prints that.
    """

    SYN_STREAM, SYN_REPLY, PING = 1, 2, 6

    def __init__(self, client, addr):
        self.client = client
        self.addr = addr
        self.lock = threading.Lock()
        self.headers = zlib.compressobj()
        self.upstreams = {}

    def serve(self):
        while head := self.read(8):
            word, flags, length = struct.unpack(">IB", head[:5])[0], head[4], int.from_bytes(head[5:], "big")
            payload = self.read(length) if length else b""
            if payload is None:
                return
            if word & 0x80000000:
                self.control(word & 0xFFFF, payload)
            else:
                self.data(word, payload, bool(flags & 1))

    def data(self, stream, payload, is_last):
        try:
            if payload and stream not in self.upstreams:
                self.upstreams[stream] = socket.create_connection(self.addr)
                threading.Thread(target=self.answer, args=[stream], daemon=True).start()
            if upstream := self.upstreams.get(stream):
                upstream.sendall(payload)
                if is_last:
                    upstream.shutdown(socket.SHUT_WR)
        except OSError as error:
            # It ends this connection, and no other one.
            print(f"port-forward: {error}", file=sys.stderr)
            with self.lock:
                self.client.sendall(struct.pack(">II", stream, 1 << 24))

    def control(self, kind, payload):
        if kind == self.SYN_STREAM:
            stream = int.from_bytes(payload[:4], "big") & 0x7FFFFFFF
            with self.lock:
                block = self.headers.compress(bytes(4)) + self.headers.flush(zlib.Z_SYNC_FLUSH)
                self.frame(self.SYN_REPLY, stream.to_bytes(4, "big") + block)
        elif kind == self.PING:
            with self.lock:
                self.frame(self.PING, payload)

    def answer(self, stream):
        with self.upstreams[stream] as upstream:
            is_last = False
            while not is_last:
                piece = upstream.recv(16 * 1024)
                is_last = not piece
                with self.lock:
                    self.client.sendall(struct.pack(">II", stream, is_last << 24 | len(piece)) + piece)

    def frame(self, kind, payload):
        self.client.sendall(struct.pack(">HHI", 0x8003, kind, len(payload)) + payload)

    def read(self, size):
        got = b""
        while len(got) < size:
            piece = self.client.recv(size - len(got))
            if not piece:
                return None
            got += piece
        return got


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster = Cluster()

    def do_GET(self):
        self.answer(self.read)

    def do_POST(self):
        self.answer(self.write)

    do_PATCH = do_POST

    def answer(self, act):
        path, _, query = self.path.partition("?")
        query = {name: values[0] for name, values in urllib.parse.parse_qs(query).items()}
        try:
            made = act(path, query)
        except Exception as error:
            is_answer = isinstance(error, Refused)
            code, reason, message = error.args if is_answer else (500, "InternalError", repr(error))
            status = {"apiVersion": "v1", "kind": "Status", "status": "Failure", "metadata": {}}
            return self.json(status | {"code": code, "reason": reason, "message": message}, code)
        if made is not None:
            self.json(made)

    def json(self, made, status=200):
        body = json.dumps(made).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def place(self, path):
        """The resource, the name and the part of the object that a path leads to."""
        for (group, version), resources in RESOURCES.items():
            found = re.fullmatch(rf"{base_of(group, version)}/namespaces/{NAMESPACE}/(\w+)(?:/([^/]+))?(?:/(\w+))?", path)
            if found and found[1] in resources:
                return (group, version, *found.groups())
        raise Refused(404, "NotFound", f"the server has no {path}")

    def read(self, path, query):
        if made := discovered(path):
            return made
        group, version, resource, name, part = self.place(path)
        if part == "portforward":
            # Over WebSocket kubectl tries first, and by SPDY then.
            raise Refused(400, "BadRequest", "unable to upgrade: by SPDY alone")
        if part == "log":
            return self.log(self.cluster.pod(name).log(query.get("container")), query.get("follow") == "true")
        if name:
            return self.cluster.get(resource, name)
        items = self.cluster.list(resource, query)
        api = {"apiVersion": f"{group}/{version}".lstrip("/"), "kind": RESOURCES[group, version][resource]}
        metadata = {"resourceVersion": str(self.cluster.count)}
        if query.get("watch"):
            return self.watch(items, query, api | {"metadata": metadata})
        return api | {"kind": api["kind"] + "List", "metadata": metadata, "items": items}

    def watch(self, items, query, mark):
        """What is there, and the news that this was all of it: nothing changes while somebody watches."""
        self.start_stream("application/json")
        wants_all = query.get("sendInitialEvents") == "true"
        for one in items if wants_all else []:
            self.wfile.write(json.dumps({"type": "ADDED", "object": one}).encode() + b"\n")
        if wants_all:
            mark["metadata"]["annotations"] = {"k8s.io/initial-events-end": "true"}
            self.wfile.write(json.dumps({"type": "BOOKMARK", "object": mark}).encode() + b"\n")
        self.wfile.flush()
        self.connection.settimeout(60)
        # It goes on until who watches leaves.
        try:
            self.connection.recv(1)
        except OSError:
            pass

    def log(self, file, follows):
        self.start_stream("text/plain")
        with file.open("rb") as log:
            while True:
                self.wfile.write(log.read())
                self.wfile.flush()
                # Whoever reads along sends nothing more, until it leaves.
                if not follows or select.select([self.connection], [], [], 0.02)[0]:
                    return

    def start_stream(self, kind):
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        self.end_headers()

    def write(self, path, query):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        _, _, resource, name, part = self.place(path)
        if part == "portforward":
            return self.forward(self.cluster.pod(name))
        if part == "ephemeralcontainers":
            return self.cluster.debug(name, json.loads(body))
        if self.command == "POST" and not name:
            is_json = self.headers.get("Content-Type") == "application/json"
            return self.cluster.create(resource, json.loads(body) if is_json else secret_of(body))
        raise Refused(405, "MethodNotAllowed", f"{self.command} {path}")

    def forward(self, pod):
        self.close_connection = True
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", "SPDY/3.1")
        self.send_header("X-Stream-Protocol-Version", "portforward.k8s.io")
        self.end_headers()
        self.wfile.flush()
        Spdy(self.connection, (pod.addr, pod.port())).serve()

    def log_message(self, format, *words):
        print(format % words, file=sys.stderr)


def discovered(path):
    """What kubectl finds out about a cluster before anything else."""
    groups = [(group, version) for group, version in RESOURCES if group]
    if path == "/version":
        return {"major": "1", "minor": "37", "gitVersion": "v1.37.0"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        versions = lambda group, version: {"groupVersion": f"{group}/{version}", "version": version}
        all = [{"name": one[0], "versions": [versions(*one)], "preferredVersion": versions(*one)} for one in groups]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": all}
    if path == "/openapi/v3":
        all = [base_of(*one).removeprefix("/") for one in RESOURCES]
        return {"paths": {one: {"serverRelativeURL": f"/openapi/v3/{one}"} for one in all}}
    for (group, version), resources in RESOURCES.items():
        base = base_of(group, version)
        api = f"{group}/{version}".lstrip("/")
        if path == base:
            verbs = ["create", "get", "list", "patch", "watch"]
            common = {"namespaced": True, "verbs": verbs}
            all = [common | {"name": name, "singularName": kind.lower(), "kind": kind} for name, kind in resources.items()]
            if not group:
                all.append(common | {"name": "pods/ephemeralcontainers", "singularName": "", "kind": "Pod"})
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api, "resources": all}
        if path == f"/openapi/v3{base}":
            # That it looks at the fields itself, so that kubectl does not have to.
            checks = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
            operation = lambda kind: {
                "parameters": [checks],
                "responses": {},
                "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
            }
            place = base + "/namespaces/{namespace}/"
            paths = {f"{place}{name}/{{name}}": {"patch": operation(kind)} for name, kind in resources.items()}
            return {"openapi": "3.0.0", "info": {"title": "a cluster", "version": "1"}, "paths": paths}
    return None


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "somebody", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "somebody"}}],
        "current-context": "here",
    }
    (FOLDER / "kubeconfig").write_text(json.dumps(config))
    print("the cluster is there", flush=True)
    try:
        server.serve_forever()
    finally:
        running = [process for pod in list(Handler.cluster.pods.values()) for process in pod.running]
        for process in running:
            process.terminate()
        end = time.monotonic() + 3
        for process in running:
            try:
                process.wait(max(0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()


main()
