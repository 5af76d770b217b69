"""Every peer behind the same few calls. Under cosine all vectors have length 1, so most use the inner
product, which is then the same and cheaper."""

import json
import os

import numpy


def make(name, metric, options):
    return PEERS[name](metric, options)


class Peer:
    """`defaults` are the options of a build; `size` gives bytes and what they are."""

    defaults = {}

    def __init__(self, metric, options):
        unknown = set(options) - set(self.defaults)
        if unknown:
            raise ValueError(f"options there are: {sorted(self.defaults)}, not {sorted(unknown)}")
        self.metric = metric
        self.options = {
            name: type(value)(options.get(name, value)) for name, value in self.defaults.items()
        }

    def one_of(self, cosine, dot, euclid):
        return {"cosine": cosine, "dot": dot, "euclid": euclid}[self.metric]

    def tune(self, k, param):
        pass

    def distances(self, queries):
        """Vectors compared for a query at the last search, or None."""
        return None

    def size(self, scratch):
        self.save(scratch)
        return os.path.getsize(scratch), "saved"


HNSW = {"M": 16, "ef_construction": 200}


class Symphonyqg(Peer):
    bits = 0
    defaults = {"R": 32, "ef_construction": 200}

    def build(self, base):
        from rabitqlib import SymqgIndex

        # At length 1 both give the same order; by distance its codes are the better ones.
        metric = self.one_of("l2", "ip", "l2")
        self.index = SymqgIndex(
            base.shape[1], self.options["R"], metric=metric, quantization_bits=self.bits
        )
        self.index.build(base, self.options["ef_construction"], num_threads=1)

    def tune(self, k, param):
        self.ef = param

    def search(self, queries, k):
        return self.index.search(queries, k, self.ef, num_threads=1)[0]

    def save(self, scratch):
        self.index.save(scratch)


class Symphonyqg8bit(Symphonyqg):
    bits = 8


class Hnswlib(Peer):
    """A removed row's label cannot be given again, so every insert takes a new one."""

    defaults = HNSW

    def build(self, base):
        import hnswlib

        self.index = hnswlib.Index(self.one_of("ip", "ip", "l2"), base.shape[1])
        self.index.init_index(
            len(base),
            M=self.options["M"],
            ef_construction=self.options["ef_construction"],
            random_seed=1,
            allow_replace_deleted=True,
        )
        self.index.set_num_threads(1)
        self.row_of = None
        self.index.add_items(base, numpy.arange(len(base)), num_threads=1)

    def tune(self, k, param):
        self.index.set_ef(param)

    def search(self, queries, k):
        labels = self.index.knn_query(queries, k, num_threads=1)[0]
        return labels if self.row_of is None else self.row_of[labels]

    def save(self, scratch):
        self.index.save_index(scratch)

    def remove(self, rows):
        if self.row_of is None:
            self.row_of = numpy.arange(self.index.get_current_count())
            self.label_of = self.row_of.copy()
        for row in rows:
            self.index.mark_deleted(int(self.label_of[row]))

    def insert(self, base, rows):
        labels = numpy.arange(len(self.row_of), len(self.row_of) + len(rows))
        self.row_of = numpy.concatenate([self.row_of, rows])
        self.label_of[rows] = labels
        self.index.add_items(base[rows], labels, num_threads=1, replace_deleted=True)


class Nmslib(Peer):
    defaults = HNSW

    def build(self, base):
        import nmslib

        space = self.one_of("cosinesimil", "negdotprod", "l2")
        self.index = nmslib.init(method="hnsw", space=space)
        self.index.addDataPointBatch(base)
        self.index.createIndex(
            {
                "M": self.options["M"],
                "efConstruction": self.options["ef_construction"],
                "post": 0,
                "indexThreadQty": 1,
            }
        )

    def tune(self, k, param):
        self.index.setQueryTimeParams({"efSearch": param})

    def search(self, queries, k):
        return [ids for ids, _ in self.index.knnQueryBatch(queries, k, num_threads=1)]

    def save(self, scratch):
        # Its optimised form holds the vectors too.
        self.index.saveIndex(scratch, save_data=False)


class Faiss(Peer):
    """An index made by faiss's own description of it."""

    def describe(self, rows):
        raise NotImplementedError

    def build(self, base):
        import faiss

        self.faiss = faiss
        faiss.omp_set_num_threads(1)
        product = faiss.METRIC_INNER_PRODUCT
        metric = self.one_of(product, product, faiss.METRIC_L2)
        self.index = faiss.index_factory(base.shape[1], self.describe(len(base)), metric)
        self.before_training()
        self.index.train(base)
        self.index.add(base)

    def before_training(self):
        pass

    def inner(self):
        return self.faiss.downcast_index(getattr(self.index, "base_index", self.index))

    def search(self, queries, k):
        return self.index.search(queries, k)[1]

    def save(self, scratch):
        self.faiss.write_index(self.index, scratch)


class FaissHnsw(Faiss):
    defaults = HNSW

    def describe(self, rows):
        return f"HNSW{self.options['M']},Flat"

    def before_training(self):
        self.inner().hnsw.efConstruction = self.options["ef_construction"]

    def tune(self, k, param):
        self.inner().hnsw.efSearch = param

    def search(self, queries, k):
        self.faiss.cvar.hnsw_stats.reset()
        return super().search(queries, k)

    def distances(self, queries):
        return self.faiss.cvar.hnsw_stats.ndis / queries


class FaissHnswSq8(FaissHnsw):
    defaults = {**HNSW, "refine": 3.0}

    def describe(self, rows):
        return f"HNSW{self.options['M']}_SQ8,RFlat"

    def tune(self, k, param):
        super().tune(k, param)
        self.index.k_factor = max(1.0, min(self.options["refine"], param / k))


class FaissIvfPq(Faiss):
    defaults = {"lists": 0, "refine": 10.0}

    def describe(self, rows):
        lists = self.options["lists"] or 1 << max(4, round(numpy.log2(4 * rows**0.5)))
        return f"IVF{min(lists, max(1, rows // 39))},PQ{self.parts}x4fs,RFlat"

    def build(self, base):
        halves = base.shape[1] // 2
        self.parts = max(part for part in range(1, halves + 1) if base.shape[1] % part == 0)
        super().build(base)

    def tune(self, k, param):
        self.inner().nprobe = param
        self.index.k_factor = self.options["refine"]


class Usearch(Peer):
    dtype = "f32"
    defaults = HNSW

    def build(self, base):
        from usearch.index import Index

        self.compared = None
        self.index = Index(
            ndim=base.shape[1],
            metric=self.one_of("ip", "ip", "l2sq"),
            dtype=self.dtype,
            connectivity=self.options["M"],
            expansion_add=self.options["ef_construction"],
        )
        self.index.add(numpy.arange(len(base)), base, threads=1)

    def tune(self, k, param):
        self.index.expansion_search = param

    def search(self, queries, k):
        found = self.index.search(queries, k, threads=1)
        self.compared = found.computed_distances
        return found.keys.astype(numpy.int64).reshape(len(queries), -1)

    def distances(self, queries):
        return self.compared / queries

    def save(self, scratch):
        self.index.save(scratch)

    def remove(self, rows):
        self.index.remove(rows.astype(numpy.uint64), threads=1)

    def insert(self, base, rows):
        self.index.add(rows.astype(numpy.uint64), base[rows], threads=1)


class UsearchBf16(Usearch):
    dtype = "bf16"


class UsearchI8(Usearch):
    dtype = "i8"


class Vsag(Peer):
    defaults = {"max_degree": 32, "ef_construction": 200}

    def build(self, base):
        import pyvsag

        pyvsag.set_logger_off()
        settings = {
            "dtype": "float32",
            "metric_type": self.one_of("ip", "ip", "l2"),
            "dim": base.shape[1],
            "index_param": {
                "base_quantization_type": "sq8",
                "precise_quantization_type": "fp32",
                "use_reorder": True,
                **self.options,
            },
        }
        self.index = pyvsag.Index("hgraph", json.dumps(settings))
        ids = numpy.arange(len(base), dtype=numpy.int64)
        self.index.build(base.ravel(), ids, len(base), base.shape[1])

    def tune(self, k, param):
        self.param = json.dumps({"hgraph": {"ef_search": param}})

    def search(self, queries, k):
        return [self.ids(self.index.knn_search(query, k, self.param)) for query in queries]

    @staticmethod
    def ids(answer):
        return next(part for part in answer if part.dtype.kind == "i")

    def save(self, scratch):
        self.index.save(scratch)


class Glass(Peer):
    defaults = {**HNSW, "level": 1}

    def build(self, base):
        import glassppy

        metric = self.one_of("IP", "IP", "L2")
        maker = glassppy.Index(
            "HNSW",
            dim=base.shape[1],
            metric=metric,
            R=2 * self.options["M"],
            L=self.options["ef_construction"],
        )
        self.graph = maker.build(base)
        self.searcher = glassppy.Searcher(self.graph, base, metric, self.options["level"])
        self.searcher.optimize(1)

    def tune(self, k, param):
        self.searcher.set_ef(param)

    def search(self, queries, k):
        return [self.searcher.search(query, k) for query in queries]

    def save(self, scratch):
        self.graph.save(scratch)

    def size(self, scratch):
        return super().size(scratch)[0], "graph without vectors"


class Annoy(Peer):
    defaults = {"trees": 100}
    inspected = -1  # its own choice

    def build(self, base):
        from annoy import AnnoyIndex

        self.index = AnnoyIndex(base.shape[1], self.one_of("angular", "dot", "euclidean"))
        self.index.set_seed(1)
        for row, vector in enumerate(base):
            self.index.add_item(row, vector)
        self.index.build(self.options["trees"], n_jobs=1)

    def tune(self, k, param):
        self.inspected = param

    def search(self, queries, k):
        return [self.index.get_nns_by_vector(query, k, self.inspected) for query in queries]

    def save(self, scratch):
        self.index.save(scratch)


class KdTree(Peer):
    """Knows distance only; at length 1 the nearest by distance are the nearest by inner product."""

    name = "KDTree"

    def build(self, base):
        import sklearn.neighbors

        self.index = getattr(sklearn.neighbors, self.name)(base)

    def search(self, queries, k):
        return self.index.query(queries, k, return_distance=False)

    def size(self, scratch):
        return sum(numpy.asarray(part).nbytes for part in self.index.get_arrays()), "arrays"


class BallTree(KdTree):
    name = "BallTree"


class Brute(Peer):
    def build(self, base):
        self.base = base
        self.squares = (base * base).sum(axis=1) if self.metric == "euclid" else None

    def search(self, queries, k):
        return [self.nearest(query, k) for query in queries]

    def nearest(self, query, k):
        cost = self.base @ query
        if self.squares is None:
            numpy.negative(cost, out=cost)
        else:
            cost = self.squares - 2 * cost
        k = min(k, len(cost))
        best = numpy.argpartition(cost, k - 1)[:k]
        return best[numpy.argsort(cost[best], kind="stable")]

    def size(self, scratch):
        return self.base.nbytes, "arrays"


PEERS = {
    "symphonyqg": Symphonyqg,
    "symphonyqg-8bit": Symphonyqg8bit,
    "hnswlib": Hnswlib,
    "hnswlib-hugepages": Hnswlib,
    "nmslib": Nmslib,
    "faiss-hnsw": FaissHnsw,
    "faiss-hnsw-sq8": FaissHnswSq8,
    "faiss-ivfpq": FaissIvfPq,
    "usearch-f32": Usearch,
    "usearch-bf16": UsearchBf16,
    "usearch-i8": UsearchI8,
    "vsag": Vsag,
    "glass": Glass,
    "annoy": Annoy,
    "kdtree": KdTree,
    "balltree": BallTree,
    "brute": Brute,
}
