"""Prometheus scrapes a running server: every query of the dashboard is answered, every alert can be
evaluated. Run as `python observe.py URL FOLDER`, where FOLDER has `prometheus` and `promtool`.
"""

import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

import requests

PACKAGING = pathlib.Path(sys.argv[0]).resolve().parent.parent / "packaging"
RULES = PACKAGING / "prometheus"
SECONDS = 8


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def check_files(promtool):
    run = lambda *words: subprocess.run([promtool, *words], cwd=RULES, check=True, capture_output=True)
    run("check", "rules", "alerts.yml")
    run("check", "config", "--syntax-only", "prometheus.yml")
    run("test", "rules", "alerts.test.yml")


def configured(folder, target):
    """The shipped file with another target, no key, and less patience."""
    text = (RULES / "prometheus.yml").read_text()
    lines = [line for line in text.splitlines() if "authorization" not in line and "credentials" not in line]
    text = "\n".join(lines).replace("doppel:6333", target).replace("15s", "1s")
    text = text.replace("alerts.yml", str(RULES / "alerts.yml"))
    path = folder / "prometheus.yml"
    path.write_text(text)
    return path


def load(url, seconds):
    """Writes, searches and mistakes, so that there is something to see."""
    session, collection = requests.Session(), url + "/collections/observed"
    session.put(collection, json={"vectors": {"size": 8, "distance": "Dot"}}, timeout=30).raise_for_status()
    until, n = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        points = [{"id": n + at, "vector": [(n + at) % 7, at, 1, 2, 3, 4, 5, 6]} for at in range(20)]
        n += len(points)
        session.put(collection + "/points?wait=true", json={"points": points}, timeout=30).raise_for_status()
        for exact in False, True:
            query = {"query": [1, 2, 3, 4, 5, 6, 7, 8], "limit": 5, "params": {"exact": exact}}
            session.post(collection + "/points/query", json=query, timeout=30).raise_for_status()
        session.get(url + "/nowhere", timeout=30)
        time.sleep(0.02)
    session.post(url + "/admin/checkpoint", timeout=30).raise_for_status()


def ask(prometheus, query):
    answer = requests.get(prometheus + "/api/v1/query", params={"query": query}, timeout=30).json()
    assert answer["status"] == "success", (query, answer)
    return answer["data"]["result"]


def dashboard(prometheus):
    panels = json.loads((PACKAGING / "grafana" / "doppel.json").read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    assert len(queries) > 25, queries
    for query in queries:
        query = query.replace("$__rate_interval", "5s")
        assert ask(prometheus, query), f"nothing is answered to {query}"
    return len(queries)


def alerts(prometheus):
    groups = requests.get(prometheus + "/api/v1/rules", timeout=30).json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert rules and all(rule["health"] == "ok" for rule in rules), rules
    firing = [rule["name"] for rule in rules if rule["state"] == "firing"]
    assert not firing, firing
    return len(rules)


def main(url, tools):
    check_files(tools / "promtool")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        address = f"127.0.0.1:{free_port()}"
        config = configured(folder, url.removeprefix("http://"))
        command = [
            tools / "prometheus",
            f"--config.file={config}",
            f"--web.listen-address={address}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--log.level=error",
        ]
        with subprocess.Popen(command) as process:
            try:
                load(url, SECONDS)
                prometheus = f"http://{address}"
                assert ask(prometheus, 'up{job="doppel"}')[0]["value"][1] == "1"
                queries, rules = dashboard(prometheus), alerts(prometheus)
            finally:
                process.terminate()
    print(f"observe: {queries} queries of the dashboard answered, {rules} alerts evaluated")


main(sys.argv[1], pathlib.Path(sys.argv[2]))
