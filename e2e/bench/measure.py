"""One measurement each: load on an endpoint, and what it cost the endpoint's process."""

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from contestants import LOAD_CORE, request_body

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
WRK_SCRIPT = Path(__file__).with_name("post.lua")


def cpu_seconds(pid):
    """User and system time of a process so far."""
    if pid is None:
        return 0.0
    # The command name may hold spaces and parentheses; the fields are counted from its end (proc(5): 14 and 15).
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def rss_mib(pid):
    line = next(l for l in Path(f"/proc/{pid}/status").read_text().splitlines() if l.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def _wrk(endpoint, connections, seconds, model="canned"):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as body:
        body.write(request_body(model))
        body.flush()
        before = cpu_seconds(endpoint.pid)
        done = subprocess.run(
            ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(WRK_SCRIPT),
             f"http://127.0.0.1:{endpoint.port}/v1/chat/completions", "--", body.name, endpoint.key],
            check=True, capture_output=True, text=True, timeout=seconds + 60,
        )
        spent = cpu_seconds(endpoint.pid) - before
    endpoint.check()
    figures = json.loads(done.stdout.splitlines()[-1])
    if figures["errors"]:
        sys.exit(f"{endpoint.name} answered {figures['errors']} requests with errors: {done.stdout}")
    return figures, spent


def whole(endpoint, seconds, model="canned"):
    """16 connections, as fast as they go."""
    figures, spent = _wrk(endpoint, 16, seconds, model)
    return {
        "cpu_us": spent * 1e6 / figures["requests"],
        "rps": figures["requests"] / figures["seconds"],
        "p50_us": figures["p50_us"],
        "p99_us": figures["p99_us"],
    }


def one_connection(endpoint, seconds):
    """One request at a time: what the way through adds."""
    figures, _ = _wrk(endpoint, 1, max(2, seconds // 2))
    return {"p50_us": figures["p50_us"], "p99_us": figures["p99_us"]}


class StreamClient:
    """`bench-client`, which does what wrk cannot."""

    def __init__(self, binary):
        self.binary = binary
        # Two thousand connections need as many descriptors here as there.
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))

    def _run(self, endpoint, *arguments):
        before = cpu_seconds(endpoint.pid)
        process = subprocess.Popen(
            ["taskset", "-c", LOAD_CORE, self.binary, "--address", f"127.0.0.1:{endpoint.port}", "--key", endpoint.key,
             *map(str, arguments)],
            stdout=subprocess.PIPE, text=True,
        )
        peak = 0.0
        while True:
            try:
                out, _ = process.communicate(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                peak = max(peak, rss_mib(endpoint.pid) if endpoint.pid else 0.0)
        if process.returncode:
            sys.exit(f"bench-client against {endpoint.name} ended with code {process.returncode}")
        endpoint.check()
        return json.loads(out), cpu_seconds(endpoint.pid) - before, peak

    def streams(self, endpoint, count, events, every_ms=2, provider="provider"):
        model = f"events-{events}-every-{every_ms}ms"
        if endpoint.name == "headgate":
            model = f"{provider}/{model}"
        figures, spent, peak = self._run(endpoint, "streams", "--count", count, "--model", model)
        return {
            "cpu_us": spent * 1e6 / max(1, figures["events"]),
            "events_per_s": figures["events"] / figures["seconds"],
            "missing": count * (events + 1) - figures["events"],  # the finish is an event, too
            "errors": figures["errors"],
            "rss_mib": peak,
        }

    def first_event(self, endpoint, count):
        model = "provider/events-1-every-0ms" if endpoint.name == "headgate" else "events-1-every-0ms"
        figures, _, _ = self._run(endpoint, "first-event", "--count", count, "--model", model)
        return {"p50_us": figures["p50_us"], "p99_us": figures["p99_us"]}

    def idle(self, endpoint, count, seconds):
        figures, _, peak = self._run(endpoint, "idle", "--count", count, "--seconds", seconds)
        return figures | {"rss_mib": peak}
