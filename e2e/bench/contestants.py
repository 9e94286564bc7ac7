"""The processes of a bench: canned upstream, scripted provider, nginx and headgate, each pinned to its core."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import dialects

GATEWAY_CORE, LOAD_CORE = "0", "1"
KEY = "vk-bench-0123456789abcdefghijklmnopqrstuvwxyz"
REQUEST_BYTES, ANSWER_BYTES = 250, 460


@dataclass
class Endpoint:
    """Something that load can be sent to. `pid` is the process whose CPU counts; None where none does."""

    name: str
    pid: int | None
    port: int
    key: str
    process: subprocess.Popen | None = None

    def check(self):
        if self.process and self.process.poll() is not None:
            sys.exit(f"{self.name} ended during the bench with code {self.process.returncode}")


def build(root, profile):
    """Builds headgate with `profile`, and the bench's own tools without what only other tests need."""
    def cargo(*arguments):
        line = ["cargo", "build", "--locked", "--message-format=json-render-diagnostics", *arguments]
        done = subprocess.run(line, cwd=root, check=True, stdout=subprocess.PIPE, text=True)
        built = (json.loads(text) for text in done.stdout.splitlines())
        return {m["target"]["name"]: m["executable"] for m in built if m.get("executable")}

    tools = cargo("--profile", "fast", "--package", "headgate-e2e", "--no-default-features",
                  "--bin", "bench-client", "--bin", "fake-provider")
    return tools | cargo("--profile", profile, "--bin", "headgate")


def canned_answer():
    """An answer as OpenAI gives it, padded to its length."""
    answer = {"id": "chatcmpl-bench", "object": "chat.completion", "created": 1790000000, "model": "chat",
              "choices": [{"index": 0, "message": {"role": "assistant", "content": "", "refusal": None},
                           "logprobs": None, "finish_reason": "stop"}],
              "usage": {"prompt_tokens": 40, "completion_tokens": 20, "total_tokens": 60},
              "system_fingerprint": "fp_bench"}
    padding = ANSWER_BYTES - len(json.dumps(answer, separators=(",", ":")))
    answer["choices"][0]["message"]["content"] = "x" * padding
    return json.dumps(answer, separators=(",", ":"))


def request_body(model="canned"):
    """A chat request of the length the figures are for."""
    body = {"model": model, "messages": [{"role": "user", "content": ""}], "temperature": 0.2}
    padding = REQUEST_BYTES - len(json.dumps(body, separators=(",", ":")))
    body["messages"][0]["content"] = "x" * padding
    return json.dumps(body, separators=(",", ":"))


NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log warn;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 100000000; keepalive_timeout 300s; tcp_nodelay on; default_type application/json;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  {servers}
}}
"""

CANNED = "server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 '{answer}'; }} {dialects} }}"

PROXY = """
  upstream canned {{ server 127.0.0.1:{canned}; keepalive 64; keepalive_requests 100000000; }}
  upstream provider {{ server 127.0.0.1:{provider}; keepalive 64; keepalive_requests 100000000; }}
  proxy_http_version 1.1; proxy_set_header Connection "";
  server {{ listen 127.0.0.1:{whole} backlog=4096; location / {{ proxy_pass http://canned; }} }}
  server {{ listen 127.0.0.1:{streams} backlog=4096;
            location / {{ proxy_pass http://provider; proxy_buffering off; proxy_read_timeout 120s; }} }}
"""

MANIFESTS = """
apiVersion: headgate.dev/v1alpha1
kind: LLMProvider
metadata: {{name: canned}}
spec:
  type: OpenAICompatible
  baseURL: http://127.0.0.1:{canned}/v1
  credential: {{secretRef: {{name: credential, key: api-key}}}}
  models: [{{name: canned, price: {{input: "2.5", output: "10"}}}}]
---
apiVersion: headgate.dev/v1alpha1
kind: LLMProvider
metadata: {{name: provider}}
spec:
  type: OpenAICompatible
  baseURL: http://127.0.0.1:{provider}/v1
  credential: {{secretRef: {{name: credential, key: api-key}}}}
  discover: Any
  models: [{{name: chat, price: {{input: "2.5", output: "10"}}}}]
---
apiVersion: v1
kind: Secret
metadata: {{name: credential}}
stringData: {{api-key: sk-bench}}
---
apiVersion: v1
kind: Secret
metadata: {{name: caller}}
stringData: {{key: {key}}}
---
apiVersion: headgate.dev/v1alpha1
kind: VirtualKey
metadata: {{name: caller}}
spec: {{owner: {{user: bench}}, secretRef: {{name: caller, key: key}}}}
"""


class Scene:
    """Upstreams and contestants in a folder of their own; all end with the `with` block."""

    def __init__(self, binaries):
        self.binaries, self.processes = binaries, []

    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="headgate-bench-")
        self.folder = Path(self.temporary.name)
        self.canned_port, self.provider_port = free_ports(2)
        self._nginx("upstream", LOAD_CORE, CANNED.format(port=self.canned_port, answer=canned_answer(),
                                                            dialects=dialects.locations()))
        self._start(LOAD_CORE, self.binaries["fake-provider"], "--listen", f"127.0.0.1:{self.provider_port}")
        wait_for_port(self.canned_port)
        wait_for_port(self.provider_port)
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
        self.temporary.cleanup()

    def nginx(self):
        """The floor: proxy_pass with keep-alive on both sides, no access log."""
        whole, self.streams_port = free_ports(2)
        servers = PROXY.format(canned=self.canned_port, provider=self.provider_port, whole=whole, streams=self.streams_port)
        process = self._nginx("proxy", GATEWAY_CORE, servers)
        wait_for_port(whole)
        return Endpoint("nginx proxy_pass", process.pid, whole, "none", process)

    def nginx_streams(self, nginx):
        """The same process's other server: the streaming provider behind `proxy_buffering off`."""
        return Endpoint("nginx, buffering off", nginx.pid, self.streams_port, "none", nginx.process)

    def headgate(self):
        """Authentication, plan, usage, price, metrics, and the closing log line of each request into a file."""
        folder = self.folder / "manifests"
        folder.mkdir()
        manifests = MANIFESTS.format(canned=self.canned_port, provider=self.provider_port, key=KEY)
        manifests += "".join(dialects.manifest(kind, self.canned_port) for kind in dialects.ANSWERS)
        manifests += "".join(dialects.streaming_manifest(kind, self.provider_port) for kind in dialects.STREAMED)
        (folder / "bench.yaml").write_text(manifests)
        port, admin = free_ports(2)
        process = self._start(
            GATEWAY_CORE, self.binaries["headgate"], "serve", "--manifests", str(folder),
            "--listen", f"127.0.0.1:{port}", "--admin-listen", f"127.0.0.1:{admin}",
            environment={"HOME": str(self.folder), "HEADGATE_LOG_LEVEL": "info", "HEADGATE_LOG_FORMAT": "json"},
        )
        wait_for_port(admin)
        with urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=10) as answer:
            assert answer.status == 200
        return Endpoint("headgate", process.pid, port, KEY, process)

    def _nginx(self, name, core, servers):
        folder = self.folder / name
        folder.mkdir()
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, servers=servers))
        return self._start(core, "nginx", "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf"))

    def _start(self, core, *line, environment=None):
        log = open(self.folder / f"{len(self.processes)}.log", "w", encoding="utf-8")
        process = subprocess.Popen(
            ["taskset", "-c", core, *line], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={"PATH": os.environ["PATH"]} | (environment or {}),
        )
        self.processes.append(process)
        return process


def free_ports(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


def wait_for_port(port, within_s=20):
    deadline = time.monotonic() + within_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                sys.exit(f"nothing listens on port {port} after {within_s} s")
            time.sleep(0.02)
