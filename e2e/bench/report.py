"""The results as a table for people, and its place in docs/performance.md."""

import datetime
import os
import platform
import subprocess

BEGIN, END = "<!-- results: written by `make bench BENCH=--write` -->", "<!-- end of results -->"


def machine(root):
    """Where and on what this was measured. The load average tells whether the rps column is worth reading."""
    model = next((l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "unknown CPU")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True).stdout.strip()
    return {
        "date": datetime.date.today().isoformat(),
        "what": f"{model}, {os.cpu_count()} cores, Linux {platform.release()}",
        "commit": commit or "unknown",
        "load": os.getloadavg()[0],
    }


def row(*cells):
    return "| " + " | ".join(str(c) for c in cells) + " |"


def table(r):
    """Markdown. Each figure is the median of the rounds."""
    m = r["machine"]
    lines = [f"Measured {m['date']} at {m['commit']} on {m['what']}; load average at the start {m['load']:.1f}.", ""]
    lines += [row("whole answers, 16 connections", "CPU us per request", "of nginx", "requests/s", "p50, p99 us", "RSS idle, loaded MiB")]
    lines += [row(*["---"] * 6)]
    for name, f in r["whole"].items():
        of_nginx = f["cpu_us"] / r["whole"]["nginx proxy_pass"]["cpu_us"]
        lines += [row(name, f"{f['cpu_us']:.1f}", f"{of_nginx:.2f}", f"{f['rps']:,.0f}", f"{f['p50_us']:.0f}, {f['p99_us']:.0f}",
                      f"{r['rss_idle'][name]:.1f}, {r['rss_loaded'][name]:.1f}")]
    lines += ["", row("whole answers of each provider to a chat client", "CPU us per request", "of nginx", "p50, p99 us")]
    lines += [row(*["---"] * 4)]
    floor = r["dialects"]["nginx proxy_pass"]["cpu_us"]
    for name, f in r["dialects"].items():
        lines += [row(name, f"{f['cpu_us']:.1f}", f"{f['cpu_us'] / floor:.2f}", f"{f['p50_us']:.0f}, {f['p99_us']:.0f}")]
    lines += ["", row("32 streams, an event of 250 bytes each 2 ms", "CPU us per event", "of nginx", "events/s", "errors, missing events")]
    lines += [row(*["---"] * 5)]
    floor = r["streams"]["nginx, buffering off"]["cpu_us"]
    for name, f in r["streams"].items():
        lines += [row(name, f"{f['cpu_us']:.1f}", f"{f['cpu_us'] / floor:.2f}", f"{f['events_per_s']:,.0f}",
                      f"{f['errors']:.0f}, {f['missing']:.0f}")]
    lines += ["", row("32 streams of each provider to a chat client", "CPU us per event", "of nginx", "errors")]
    lines += [row(*["---"] * 4)]
    floor = r["dialect_streams"]["nginx, buffering off"]["cpu_us"]
    for name, f in r["dialect_streams"].items():
        lines += [row(name, f"{f['cpu_us']:.1f}", f"{f['cpu_us'] / floor:.2f}", f"{f['errors']:.0f}")]
    lines += ["", row("one at a time", "whole answer p50, p99 us", "first event of a stream p50, p99 us", "later than direct (p50, us)")]
    lines += [row(*["---"] * 4)]
    base_one, base_first = r["one"]["direct"]["p50_us"], r["first"]["direct"]["p50_us"]
    for name, stream_name in (("direct", "direct"), ("nginx proxy_pass", "nginx, buffering off"), ("headgate", "headgate")):
        o, f = r["one"][name], r["first"][stream_name]
        lines += [row(name, f"{o['p50_us']:.0f}, {o['p99_us']:.0f}", f"{f['p50_us']:.0f}, {f['p99_us']:.0f}",
                      f"whole {o['p50_us'] - base_one:+.0f}, first event {f['p50_us'] - base_first:+.0f}")]
    i, s = r["idle"], r["many"]
    lines += ["", row("headgate with many", "RSS MiB", "errors"), row("---", "---", "---"),
              row(f"{i['connections']:,} idle connections, each served before and after", f"{i['rss_mib']:.1f}", i["errors"]),
              row("500 parallel streams, an event each 20 ms", f"{s['rss_mib']:.1f}", f"{s['errors']}, {s['missing']} events missing")]
    return "\n".join(lines)


def write(path, text):
    document = path.read_text(encoding="utf-8")
    head, rest = document.split(BEGIN, 1)
    _, tail = rest.split(END, 1)
    path.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}", encoding="utf-8")
