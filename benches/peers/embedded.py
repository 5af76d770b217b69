"""A database that runs in the process that asks it, measured as the servers are, in threads:

    embedded.py NAME FOLDER CORE SECONDS        reads FOLDER/{vectors,spare,queries,truth}.npy
    embedded.py NAME --open FOLDER CORE         seconds from opening the data to the first answer

The first prints one line of JSON. Everything runs on one core, the libraries' own threads too. Times
of searches include the call from Python.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
import time

K = 10
M, EF_CONSTRUCT = 16, 100
EFS = [10, 16, 32, 64, 128, 256, 512, 1000]
RECALLS = [0.96, 0.999]
THREADS = [1, 4, 16, 64]
BATCHES = [(1, 1), (1, 16), (16, 1), (64, 1), (256, 1)]
FILL = 256


class QdrantEdge:
    promise = "written, synced by `flush` after each batch; in the graph after `optimize`"

    def __init__(self, folder, dim):
        import qdrant_edge as edge

        self.edge = edge
        hnsw = edge.HnswIndexConfig(m=M, ef_construct=EF_CONSTRUCT, full_scan_threshold=100)
        vector = edge.EdgeVectorParams(size=dim, distance=edge.Distance.Cosine, hnsw_config=hnsw)
        config = edge.EdgeConfig(vectors=vector, hnsw_config=hnsw)
        there = os.path.exists(folder)
        os.makedirs(folder, exist_ok=True)
        self.shard = edge.EdgeShard.load(folder) if there else edge.EdgeShard.create(folder, config)

    def insert(self, first, vectors):
        points = [self.edge.Point(first + at, row.tolist()) for at, row in enumerate(vectors)]
        self.shard.update(self.edge.UpdateOperation.upsert_points(points))
        self.shard.flush()

    def index(self):
        self.shard.optimize()
        self.shard.flush()

    def search(self, query, ef):
        ask = self.edge.QueryRequest(
            limit=K,
            query=self.edge.Query.Nearest(query),
            params=self.edge.SearchParams(hnsw_ef=ef),
        )
        return [hit.id for hit in self.shard.query(ask)]

    def prepare(self, query):
        return query.tolist()

    def close(self):
        self.shard.close()


class Lance(object):
    promise = "a new version of files, not synced; in the graph after it is built"

    def __init__(self, folder, dim):
        import lancedb
        import pyarrow

        self.pyarrow, self.dim = pyarrow, dim
        self.schema = pyarrow.schema(
            [("id", pyarrow.int64()), ("vector", pyarrow.list_(pyarrow.float32(), dim))]
        )
        self.table = lancedb.connect(folder).create_table("faces", schema=self.schema, exist_ok=True)

    def insert(self, first, vectors):
        import numpy

        flat = self.pyarrow.array(vectors.ravel())
        columns = [
            self.pyarrow.array(numpy.arange(first, first + len(vectors))),
            self.pyarrow.FixedSizeListArray.from_arrays(flat, self.dim),
        ]
        self.table.add(self.pyarrow.Table.from_arrays(columns, schema=self.schema))

    def index(self):
        from datetime import timedelta

        self.table.create_index(
            metric="cosine",
            vector_column_name="vector",
            index_type="IVF_HNSW_SQ",
            num_partitions=1,
            m=M,
            ef_construction=EF_CONSTRUCT,
        )
        self.table.optimize(cleanup_older_than=timedelta(0))

    def search(self, query, ef):
        # It wants no less than twice the hits, for the second look at them.
        found = self.table.search(query).metric("cosine").ef(max(ef, 2 * K)).refine_factor(2).limit(K)
        return found.select(["id"]).to_arrow()["id"].to_pylist()

    def prepare(self, query):
        return query

    def close(self):
        pass


class Milvus:
    promise = "written, synced when the log is closed; in the graph after `flush`"

    def __init__(self, folder, dim):
        from milvus_lite import CollectionSchema, DataType, FieldSchema, MilvusLite

        self.database = MilvusLite(folder)
        if "faces" in self.database.list_collections():
            self.faces = self.database.get_collection("faces")
            self.faces.load()
            return
        fields = [
            FieldSchema(name="id", dtype=DataType.INT64, is_primary=True),
            FieldSchema(name="v", dtype=DataType.FLOAT_VECTOR, dim=dim),
        ]
        self.faces = self.database.create_collection("faces", CollectionSchema(fields=fields))
        how = {"M": M, "efConstruction": EF_CONSTRUCT}
        self.faces.create_index("v", {"index_type": "HNSW", "metric_type": "COSINE", "params": how})
        self.faces.load()

    def insert(self, first, vectors):
        self.faces.insert([{"id": first + at, "v": row.tolist()} for at, row in enumerate(vectors)])

    def index(self):
        self.faces.flush()
        self.faces.load()

    def search(self, query, ef):
        how = {"metric_type": "COSINE", "params": {"ef": ef}}
        found = self.faces.search([query], top_k=K, metric_type="COSINE", anns_field="v", search_params=how["params"])
        return [hit["id"] for hit in found[0]]

    def prepare(self, query):
        return query.tolist()

    def close(self):
        self.database.close()


PEERS = {"qdrant-edge": QdrantEdge, "lancedb": Lance, "milvus-lite": Milvus}


def load(work, items, threads, seconds):
    """Times of each in seconds, sorted, and how long all took; without `seconds` each item once."""
    times, failed = [], []
    started, turn, lock = time.perf_counter(), [0], threading.Lock()

    def run():
        own = []
        try:
            while seconds is None or time.perf_counter() - started < seconds:
                with lock:
                    at, turn[0] = turn[0], turn[0] + 1
                if seconds is None and at >= len(items):
                    break
                one = time.perf_counter()
                work(items[at % len(items)])
                own.append(time.perf_counter() - one)
        except Exception as error:
            failed.append(error)
        times.extend(own)

    workers = [threading.Thread(target=run) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failed:
        raise failed[0]
    return sorted(times), time.perf_counter() - started


def batches(first, vectors, size):
    return [(first + at, vectors[at : at + size]) for at in range(0, len(vectors), size)]


def measure(name, folder, core, seconds):
    import numpy

    vectors, spare, queries, truth = (
        numpy.load(os.path.join(folder, f"{what}.npy")) for what in ("vectors", "spare", "queries", "truth")
    )
    truth = [set(row.tolist()) for row in truth]
    data = os.path.join(folder, name)
    shutil.rmtree(data, ignore_errors=True)
    told = {"promise": PEERS[name].promise, "searches": [], "inserts": []}
    began = time.perf_counter()
    peer = PEERS[name](data, vectors.shape[1])
    before = private_mb()
    peer.insert(0, vectors[:1])
    assert peer.search(peer.prepare(vectors[0]), 64) == [0], "the one point was not found"
    told["first_answer_s"] = time.perf_counter() - began
    began = time.perf_counter()
    for first, rows in batches(1, vectors[1:], FILL):
        peer.insert(first, rows)
    told["filled_s"] = time.perf_counter() - began
    peer.index()
    told["fill_s"] = time.perf_counter() - began
    asked = [peer.prepare(query) for query in queries]
    ef, recall = 0, 0.0
    efs = iter(EFS)
    for wanted in RECALLS:
        while recall < wanted:
            ef = next(efs, None)
            if ef is None:
                break
            found = [peer.search(query, ef) for query in asked]
            recall = sum(len(right & set(ids)) for right, ids in zip(truth, found)) / (K * len(truth))
            print(f"{name}: recall {recall:.4f} at {ef}", file=sys.stderr)
        if ef is None:
            break
        for threads in THREADS:
            times, took = load(lambda query: peer.search(query, ef), asked, threads, seconds)
            rate = len(times) / took
            told["searches"].append([recall, ef, threads, rate, middle(times, 50), middle(times, 99)])
    told["memory_mb"] = private_mb() - before
    first = len(vectors)
    share = len(spare) // len(BATCHES)
    for at, (size, threads) in enumerate(BATCHES):
        rows = spare[at * share : (at + 1) * share]
        if size == 1:
            rows = rows[: share // 4]  # some take a tenth of a second each
        work = batches(first, rows, size)
        times, took = load(lambda one: peer.insert(*one), work, threads, None)
        first += len(rows)
        told["inserts"].append([size, threads, len(rows) / took, middle(times, 99)])
    peer.close()
    told["disk_mb"] = sum(
        os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(data) for name in names
    ) / (1 << 20)
    again = [sys.executable, __file__, name, "--open", folder, str(core)]
    told["ready_s"] = float(subprocess.run(again, check=True, capture_output=True).stdout.split()[-1])
    return told


def middle(times, percent):
    return times[min(len(times) - 1, len(times) * percent // 100)] * 1e3 if times else 0.0


def private_mb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon:")) / 1024


def opened(name, folder):
    import numpy

    queries = numpy.load(os.path.join(folder, "queries.npy"))
    began = time.perf_counter()
    peer = PEERS[name](os.path.join(folder, name), queries.shape[1])
    assert len(peer.search(peer.prepare(queries[0]), 64)) == K
    print(time.perf_counter() - began, flush=True)
    os._exit(0)


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[-1] if sys.argv[2] == "--open" else sys.argv[3])})
    if sys.argv[2] == "--open":
        opened(sys.argv[1], sys.argv[3])
    else:
        out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # libraries print there
        out.write(json.dumps(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))))
        out.flush()
        os._exit(0)
