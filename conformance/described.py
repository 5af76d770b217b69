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
SECONDS = 150


def main(url, examples="6"):
    config = pathlib.Path(__file__).with_name("schemathesis.toml")
    path = f"{url}/collections/described"
    vectors = {"vectors": {"size": 4, "distance": "Cosine"}}
    requests.put(path, json=vectors, timeout=30).raise_for_status()
    points = [{"id": n, "vector": [n, 1, 2, 3], "payload": {"person": "Ada"}} for n in range(1, 9)]
    requests.put(f"{path}/points", json={"points": points}, timeout=30).raise_for_status()
    index = {"field_name": "person", "field_schema": "keyword"}
    requests.put(f"{path}/index", json=index, timeout=30).raise_for_status()
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(config),
        "run", f"{url}/openapi.json", "--checks", ",".join(CHECKS),
        "--phases", "examples,fuzzing", "--max-examples", examples, "--max-time", str(SECONDS),
        "--exclude-path", "/metrics", "--seed", "1", "--request-timeout", "30",
        "--continue-on-failure", "--warnings", "off", "--no-color",
    ]
    with tempfile.TemporaryDirectory() as folder:
        ended = subprocess.run(command, cwd=folder).returncode
    assert requests.get(f"{url}/livez", timeout=5).text == "alive"
    if ended:
        sys.exit(f"schemathesis ended with {ended}")
    print("described: fine")


if __name__ == "__main__":
    main(*sys.argv[1:])
