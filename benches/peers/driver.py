"""One peer, asked by JSON lines on standard input, answering by JSON lines on standard output.

    driver.py NAME cosine|dot|euclid CORE OPTIONS-AS-JSON

Requests: {"do": "build", "base", "scratch"}, {"do": "search", "queries", "count", "k", "param",
"answers"} and, for peers that can, {"do": "remove", "rows"}, {"do": "insert", "base", "rows"},
{"do": "size", "scratch"}. Every answer is one object; {"error": "..."} if it cannot be done.

The process binds itself to one core before it loads any library. CPU seconds are the whole
process's, hidden threads included. The rate is measured over one call with all queries, the times
of single queries over one call a query, so those include what a call from Python costs.
"""

import json
import os
import sys
import time

NO_ID = 0xFFFFFFFF


def main():
    name, metric, core, options = sys.argv[1:5]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core)})
    # Libraries print on standard output too; the answers get a channel of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    session = None
    for line in sys.stdin:
        try:
            if session is None:
                session = Session(name, metric, json.loads(options))
            request = json.loads(line)
            answer = getattr(session, "do_" + request.pop("do"))(**request)
        except Exception as error:  # the bench reports it by the peer's name
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def private_bytes():
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


class Session:
    def __init__(self, name, metric, options):
        import adapters

        self.peer = adapters.make(name, metric, options)
        self.loaded = {}

    def load(self, path):
        import numpy

        if path not in self.loaded:
            self.loaded[path] = numpy.load(path)
        return self.loaded[path]

    def size(self, scratch):
        try:
            return self.peer.size(scratch)
        finally:
            if os.path.exists(scratch):
                os.remove(scratch)

    def do_build(self, base, scratch):
        import numpy

        vectors = numpy.load(base)
        before = private_bytes()
        cpu, wall = time.process_time(), time.perf_counter()
        self.peer.build(vectors)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        after = private_bytes()
        grown = None if before is None or after is None else max(0, after - before)
        size, what = self.size(scratch)
        return {"cpu_s": cpu, "wall_s": wall, "bytes": size, "bytes_are": what, "rss_bytes": grown}

    def do_search(self, queries, count, k, param, answers):
        import numpy

        asked = numpy.ascontiguousarray(self.load(queries)[:count])
        if param:  # else as it comes
            self.peer.tune(k, param)
        cpu, wall = time.process_time(), time.perf_counter()
        found = self.peer.search(asked, k)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        distances = self.peer.distances(len(asked))
        times = []
        for at in range(len(asked)):
            start = time.perf_counter_ns()
            self.peer.search(asked[at : at + 1], k)
            times.append((time.perf_counter_ns() - start) / 1e3)
        times.sort()
        if answers is not None:
            numpy.save(answers, as_ids(found, len(asked), k))
        return {
            "cpu_s": cpu,
            "wall_s": wall,
            "mean_us": sum(times) / len(times),
            "p99_us": times[-(-len(times) * 99 // 100) - 1],
            "distances": distances,
        }

    def do_remove(self, rows):
        cpu, wall = time.process_time(), time.perf_counter()
        self.peer.remove(self.load_once(rows))
        return {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}

    def do_insert(self, base, rows):
        vectors, rows = self.load(base), self.load_once(rows)
        cpu, wall = time.process_time(), time.perf_counter()
        self.peer.insert(vectors, rows)
        return {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}

    def do_size(self, scratch):
        size, what = self.size(scratch)
        return {"bytes": size, "bytes_are": what}

    @staticmethod
    def load_once(path):
        import numpy

        return numpy.load(path).ravel()


def as_ids(found, count, k):
    """Rows of exactly k numbers; what is missing is NO_ID."""
    import numpy

    ids = numpy.full((count, k), NO_ID, dtype="<u4")
    for row, answer in enumerate(found):
        answer = numpy.asarray(answer, dtype=numpy.int64)[:k]
        ids[row, : len(answer)] = numpy.where(answer < 0, NO_ID, answer)
    return ids


if __name__ == "__main__":
    main()
