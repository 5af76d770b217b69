"""Property-based requests made from /openapi.json: no fault of the server, no status, content type
or body that the document does not tell. Run as `python described.py URL`.
"""

import pathlib
import subprocess
import sys

import requests

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
]


def main(url, examples="12"):
    config = pathlib.Path(__file__).with_name("schemathesis.toml")
    vectors = {"vectors": {"size": 4, "distance": "Cosine"}}
    requests.put(f"{url}/collections/faces", json=vectors).raise_for_status()
    points = [{"id": n, "vector": [n, 1, 2, 3], "payload": {"person": "Ada"}} for n in range(1, 9)]
    put = requests.put(f"{url}/collections/faces/points", json={"points": points})
    put.raise_for_status()
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(config),
        "run", f"{url}/openapi.json", "--checks", ",".join(CHECKS),
        "--max-examples", examples, "--phases", "examples,coverage,fuzzing",
        "--exclude-path", "/metrics", "--seed", "1", "--generation-deterministic",
        "--request-timeout", "10", "--workers", "2",
    ]
    ended = subprocess.run(command).returncode
    assert requests.get(f"{url}/livez").text == "alive"
    if ended:
        sys.exit(f"schemathesis ended with {ended}")
    print("described: fine")


if __name__ == "__main__":
    main(*sys.argv[1:])
