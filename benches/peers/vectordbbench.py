"""VectorDBBench, as it comes, on a doppel of its own: its client of the dialect that doppel speaks.

    python3 benches/peers/vectordbbench.py --doppel target/release/doppel

Its public data sets cannot be had everywhere, so the vectors are made here (people of 20 photos each at
cosine 0.6, as in the other comparisons), with the exact neighbours of 1,000 queries, as a "custom data set"
of its own format; `--data FOLDER` takes one that is there already. What follows `--` goes to `vectordbbench
qdrantlocal`, for example another `--hnsw-ef`. The environment is made in the build's folder.
"""

import argparse
import atexit
import json
import pathlib
import re
import subprocess
import sys
import tempfile

QUERIES = 1000
NEIGHBOURS = 100
PHOTOS = 20
COSINE = 0.6
PACKAGES = ["vectordb-bench[qdrant]==2.0.0", "qdrant-client==1.20.0", "numpy==2.4.6", "pandas==3.1.1"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--doppel", type=pathlib.Path, help="the binary")
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=pathlib.Path, help="a folder with train, test and neighbors.parquet")
    parser.add_argument("--environment", type=pathlib.Path, default="target/vectordbbench-venv")
    parser.add_argument("--make", type=pathlib.Path, help=argparse.SUPPRESS)
    return parser.parse_known_args()


def make(folder, count, dim, seed):
    """The data set's three files."""
    import numpy
    import pandas

    chance = numpy.random.default_rng(seed)

    def unit(rows):
        rows = chance.standard_normal((rows, dim), dtype=numpy.float32)
        return rows / numpy.linalg.norm(rows, axis=1, keepdims=True)

    people = unit(-(-count // PHOTOS))

    def photos(of):
        photos = people[of] * COSINE**0.5 + unit(len(of)) * (1 - COSINE) ** 0.5
        return photos / numpy.linalg.norm(photos, axis=1, keepdims=True)

    base = photos(numpy.arange(count) // PHOTOS)
    test = photos(chance.integers(0, len(people), QUERIES))
    nearest = []
    for query in test:
        likeness = base @ query
        best = numpy.argpartition(-likeness, NEIGHBOURS)[:NEIGHBOURS]
        nearest.append(best[numpy.argsort(-likeness[best])])
    for name, ids, column, rows in [
        ("train", range(count), "emb", base),
        ("test", range(QUERIES), "emb", test),
        ("neighbors", range(QUERIES), "neighbors_id", nearest),
    ]:
        pandas.DataFrame({"id": ids, column: list(rows)}).to_parquet(folder / f"{name}.parquet")


def serve(doppel, folder):
    command = [doppel, "serve", "--data-dir", folder, "--listen", "127.0.0.1:0", "--models-dir", folder / "none"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"DOPPEL_MODELS__INSTALL_ON_START": "false"})
    atexit.register(server.kill)
    for line in server.stdout:
        if found := re.search(r"127\.0\.0\.1:\d+", line):
            return f"http://{found[0]}"
    sys.exit("the server did not say where it listens")


def report(results):
    found = sorted(results.rglob("*.json"))
    if not found:
        sys.exit("it left no result: see what it said above")
    measured = json.loads(found[-1].read_text())["results"][0]["metrics"]
    print(f"put in and indexed in {measured['load_duration']:.1f} s")
    print(f"recall {measured['recall']:.4f}, one after another: p99 {measured['serial_latency_p99'] * 1e3:.2f} ms")
    columns = zip(measured["conc_num_list"], measured["conc_qps_list"], measured["conc_latency_p99_list"])
    for connections, speed, p99 in columns:
        print(f"{connections} processes: {speed:.0f} searches/s, p99 {p99 * 1e3:.2f} ms")


def main():
    asked, rest = arguments()
    if asked.make:
        return make(asked.make, asked.vectors, asked.dim, asked.seed)
    if not asked.doppel:
        sys.exit("--doppel says where the binary is: cargo build --release makes target/release/doppel")
    python = asked.environment.resolve() / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", asked.environment], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES], check=True)
    scratch = tempfile.TemporaryDirectory()
    atexit.register(scratch.cleanup)
    scratch = pathlib.Path(scratch.name)
    data, results = asked.data or scratch / "data", scratch / "results"
    if not asked.data:
        data.mkdir()
        shape = [f"--vectors={asked.vectors}", f"--dim={asked.dim}", f"--seed={asked.seed}"]
        subprocess.run([python, __file__, f"--make={data}", *shape], check=True)
    url = serve(asked.doppel.resolve(), scratch / "server")
    options = {
        "url": url,
        "case-type": "PerformanceCustomDataset",
        "custom-case-name": "faces",
        "custom-dataset-name": "faces",
        "custom-dataset-dir": data.resolve(),
        "custom-dataset-size": asked.vectors,
        "custom-dataset-dim": asked.dim,
        "custom-dataset-file-count": 1,
        "k": 10,
        "hnsw-ef": 64,
        "concurrency-duration": 5,
        "num-concurrency": "1,4",
        "load-concurrency": 1,
    }
    command = [python.parent / "vectordbbench", "qdrantlocal"]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    command += [word for word in rest if word != "--"]
    # It writes a log where it runs.
    subprocess.run(command, check=True, cwd=scratch, env={"RESULTS_LOCAL_DIR": str(results), "PATH": "/usr/bin:/bin"})
    report(results)


main()
