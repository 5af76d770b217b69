"""Hundreds of thousands of photos through `doppel import`: the rate, and the memory of both ends as it goes.

    python3 benches/peers/import.py --doppel target/release/doppel --models-dir MODELS --photos FOLDER

The photos of a folder (and its folders) are named again and again in a list, each time with another id and
person, until there are `--count`. Every one is read, sent, looked at and stored as any other.

With `--looked-at N` the models look at N of them once. After that the server under test asks this script
(`embedding.remote_url`), which answers with what the models said and a vector moved by chance, so that no
two faces are the same: all of the import but the models, for as many photos as there is no time to look at.

Memory is what a process has written to and no file holds (RssAnon, Linux). Only the standard library is used.
"""

import argparse
import atexit
import base64
import hashlib
import json
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KINDS = {".jpg", ".jpeg", ".png", ".webp", ".heic"}
# How far a vector is moved: the cosine with what it was is about 0.7, as of two photos of a person.
MOVED = 1.0
HOLE = "the vector"
PARTS = (0.25, 0.5, 0.75, 1.0)
FLAT = 1.10


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--doppel", required=True, help="the binary")
    parser.add_argument("--models-dir", required=True, help="the installed models")
    parser.add_argument("--photos", required=True, help="a folder of photos")
    parser.add_argument("--count", type=int, default=200_000, help="photos that are imported")
    parser.add_argument("--looked-at", type=int, help="let the models look at so many photos, once")
    parser.add_argument("--model", default="facenet-128", help="the model")
    parser.add_argument("--minutes", type=float, help="stop after so many minutes")
    return parser.parse_args()


def ask(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with opener.open(request, timeout=120) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            if refused.code != 503:
                sys.exit(f"{url}: {refused.code} {refused.read().decode()}")
            time.sleep(1)


class Server:
    """A `doppel serve` of its own on a free port."""

    def __init__(self, options, data, settings=()):
        command = [options.doppel, "serve", "--listen", "127.0.0.1:0", "--no-install", "--data-dir", str(data)]
        command += ["--models-dir", options.models_dir]
        for key, value in settings:
            command += ["--set", f"{key}={value}"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL)
        atexit.register(self.process.kill)
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            sys.exit("the server did not start")
        self.url = line.split()[-1].rstrip("/")
        while not self.has_loaded(options.model):
            time.sleep(0.1)

    def has_loaded(self, name):
        try:
            models = ask(f"{self.url}/faces/models")["result"]["models"]
            return any(model["loaded"] and model["name"] == name for model in models)
        except urllib.error.URLError:
            return False

    def stop(self):
        self.process.terminate()
        self.process.wait()


def memory(process):
    """Bytes, or nothing once it has ended."""
    try:
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return None
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    return int(found.group(1)) * 1024 if found else None


class Answers:
    """What the models said of a few photos, by the photo."""

    def __init__(self, looking, photos, model):
        self.models = ask(f"{looking.url}/faces/models")
        self.chance = random.Random(20_261_129)
        self.lock = threading.Lock()
        self.said = {}
        for photo in photos:
            image = base64.b64encode(photo.read_bytes()).decode()
            body = {"image": image, "faces": "largest", "model": model, "with_crop": True}
            said = ask(f"{looking.url}/faces/embed", body)
            face = said["result"]["faces"][0]
            vector, face["vector"] = face["vector"], HOLE
            before, after = json.dumps(said).split(json.dumps(HOLE))
            self.said[digest(image)] = before, vector, after

    def of(self, body):
        before, vector, after = self.said[digest(body["image"])]
        spread = MOVED / len(vector) ** 0.5
        with self.lock:
            moved = [x + self.chance.gauss(0.0, spread) for x in vector]
        length = sum(x * x for x in moved) ** 0.5
        numbers = ",".join(f"{x / length:.6f}" for x in moved)
        return f"{before}[{numbers}]{after}"


def digest(image):
    return hashlib.sha256(image.encode()).digest()


def stand_in(answers):
    """Serves what was said, on a free port; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # The head and the body are two small writes, the second of which would wait for the first.
        disable_nagle_algorithm = True

        def answer(self, text):
            body = text.encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            self.answer(json.dumps(answers.models))

        def do_POST(self):
            length = int(self.headers["content-length"])
            self.answer(answers.of(json.loads(self.rfile.read(length))))

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def write_list(path, photos, count):
    with open(path, "w", encoding="utf-8") as lines:
        for number in range(count):
            photo, turn = photos[number % len(photos)], number // len(photos)
            row = {"path": str(photo), "person": f"{photo.parent.name} {turn}", "id": number}
            lines.write(json.dumps(row) + "\n")


def follow(server, importing, said, options):
    """Rows of (photos, seconds, bytes of the server, bytes of the importer) at each part."""
    started, rows, parts = time.monotonic(), [], list(PARTS)
    while True:
        ended = importing.poll() is not None
        seconds = time.monotonic() - started
        text = said.read_text(encoding="utf-8").splitlines()
        told = re.match(r"(\d+)/", text[-1]) if text else None
        done = int(told.group(1)) if told else 0
        sizes = memory(server.process), memory(importing)
        late = options.minutes is not None and seconds > 60 * options.minutes
        if parts and sizes[1] and (done >= parts[0] * options.count or late):
            parts.pop(0)
            rows.append((done, seconds, *sizes))
        if sizes[1]:
            last = (done, seconds, *sizes)
        if late and not ended:
            importing.terminate()
        if ended or late:
            importing.wait()
            if parts and not late:
                rows.append((options.count, seconds, last[2], last[3]))
            return rows
        time.sleep(0.5)


def tell(rows):
    mib = 1 << 20
    print(f"{'photos':>9} {'seconds':>8} {'a second':>9} {'server MiB':>11} {'importer MiB':>13}")
    for done, seconds, serving, sending in rows:
        print(f"{done:>9} {seconds:>8.0f} {done / seconds:>9.1f} {serving / mib:>11.0f} {sending / mib:>13.1f}")
    if len(rows) < 2:
        return
    first, last = rows[0], rows[-1]
    verdict = "flat" if last[3] <= first[3] * FLAT else "NOT FLAT"
    print(f"importer: {verdict} ({first[3] / mib:.1f} to {last[3] / mib:.1f} MiB)")
    each = (last[2] - first[2]) / max(last[0] - first[0], 1)
    print(f"server: {each:.0f} bytes for each face that it holds from {first[0]} to {last[0]}")


def main():
    options = arguments()
    photos = sorted(path for path in pathlib.Path(options.photos).rglob("*") if path.suffix.lower() in KINDS)
    if not photos:
        sys.exit(f"there are no photos in {options.photos}")
    photos = [path.resolve() for path in photos[: options.looked_at]]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="doppel-import-"))
    try:
        settings = []
        if options.looked_at:
            looking = Server(options, folder / "looking")
            answers = Answers(looking, photos, options.model)
            looking.stop()
            settings = [("embedding.remote_url", stand_in(answers))]
        server = Server(options, folder / "data", settings)
        write_list(folder / "list.jsonl", photos, options.count)
        said = folder / "said.txt"
        command = [options.doppel, "import", str(folder / "list.jsonl"), "--collection", "many"]
        command += ["--model", options.model, "--url", server.url, "--report", str(folder / "report.json")]
        with open(said, "w", encoding="utf-8") as errors:
            importing = subprocess.Popen(command, stderr=errors, stdout=subprocess.DEVNULL)
            rows = follow(server, importing, said, options)
        how = f"{len(photos)} photos looked at once" if options.looked_at else "every photo looked at"
        print(f"{options.count} photos of {options.photos} ({len(photos)} files), {how}, {options.model}")
        tell(rows)
        kept = ask(f"{server.url}/collections/many")["result"]["points_count"]
        print(f"{kept} faces are there")
        server.stop()
        if importing.returncode not in (0, -signal.SIGTERM):
            sys.exit(said.read_text(encoding="utf-8")[-500:])
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
