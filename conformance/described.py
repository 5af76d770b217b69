"""Requests made at random from /openapi.json: no fault of the server; no status, content type or body
that the document does not tell; nothing served that the document refuses. Run as
`python described.py URL [EXAMPLES]`; the seed is fixed, the time is bounded.
"""

import pathlib
import subprocess
import sys
import tempfile

import requests

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
]
# What is run, on which paths, for how many seconds at most. The cases of `coverage` grow with the
# number of fields that a body may have, so those with filters are left to chance.
RUNS = [
    ("examples,fuzzing", ".", 120),
    ("coverage", r"^/collections$|aliases|/vectors/|/points$|/snapshots|/exists|/index", 100),
]


def main(url, examples="6"):
    config = pathlib.Path(__file__).with_name("schemathesis.toml")
    path = f"{url}/collections/described"
    vectors = {"vectors": {"size": 4, "distance": "Cosine"}}
    requests.put(path, json=vectors, timeout=30).raise_for_status()
    points = [{"id": n, "vector": [n, 1, 2, 3], "payload": {"person": "Ada"}} for n in range(1, 9)]
    requests.put(f"{path}/points", json={"points": points}, timeout=30).raise_for_status()
    index = {"field_name": "person", "field_schema": "keyword"}
    requests.put(f"{path}/index", json=index, timeout=30).raise_for_status()
    for phases, paths, seconds in RUNS:
        run(url, config, phases, paths, seconds, examples)
    assert requests.get(f"{url}/livez", timeout=5).text == "alive"
    print("described: fine")


def run(url, config, phases, paths, seconds, examples):
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(config),
        "run", f"{url}/openapi.json", "--checks", ",".join(CHECKS),
        "--phases", phases, "--max-examples", examples, "--max-time", str(seconds),
        "--include-path-regex", paths, "--exclude-path", "/metrics", "--seed", "1", "--request-timeout", "30",
        "--continue-on-failure", "--warnings", "off", "--no-color",
    ]
    with tempfile.TemporaryDirectory() as folder:
        ended = subprocess.run(command, cwd=folder).returncode
    if ended:
        sys.exit(f"schemathesis ended with {ended}")


if __name__ == "__main__":
    main(*sys.argv[1:])
