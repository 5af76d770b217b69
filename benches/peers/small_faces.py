"""How small a face may be in a photo of 12 megapixels, and what the closer look for small ones costs.

    python3 benches/peers/small_faces.py --doppel target/release/doppel --models-dir MODELS --photos FOLDER

Two servers of the same binary look at the same photos: one at each photo as a whole alone
(`embedding.smallest_face=16384`), one as it does by itself. The photos are made of those of a folder, each of
which has one face in its middle (as those of Labeled Faces in the Wild), by a seed: the ground is put together of
what lies beside faces, enlarged up to eight times; on it are 24 faces of one size (the longer side of the box), or
one, for `faces=largest`. It prints how many are found, how near their vectors come to those of the same faces as
they were, how many are told to be of poor quality, what else is taken for a face, and the time.

Then photos lie: they are turned by 90, 180 and 270 degrees (clockwise) and say nothing of it; by 0, to compare. `--baseline BINARY` has
another build look at those too. Last come photos without a face.

It needs Pillow.
"""

import argparse
import atexit
import base64
import io
import json
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from PIL import Image

SIZES = (30, 40, 50, 60, 75, 100, 130, 200, 300)
TURNED = (40, 60, 100)
TURNS = {0: None, 90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}
COLUMNS, ROWS = 6, 4
NEVER = 16_384
SAME = 0.3


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--doppel", required=True, help="the binary")
    parser.add_argument("--models-dir", required=True, help="the installed models")
    parser.add_argument("--photos", required=True, help="a folder of photos, or of folders of photos")
    parser.add_argument("--groups", type=int, default=3, help="photos of 24 faces of each size")
    parser.add_argument("--alone", type=int, default=12, help="photos of one face of each size")
    parser.add_argument("--empty", type=int, default=12, help="photos without a face")
    parser.add_argument("--width", type=int, default=4_000)
    parser.add_argument("--height", type=int, default=3_000)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--turned", type=int, nargs="*", default=TURNED, help="sizes in photos that lie")
    parser.add_argument("--baseline", help="another build that looks at the photos that lie")
    parser.add_argument("--smallest-face", type=int, help="another `embedding.smallest_face` than the default")
    parser.add_argument("--at-least", action="store_true", help="ask for faces of 0.7 times that size (of the shorter side) or more")
    parser.add_argument("--seed", type=int, default=20_261_130)
    return parser.parse_args()


class Server:
    """A `doppel serve` of its own on a free port."""

    def __init__(self, binary, options, folder, smallest):
        command = [binary, "serve", "--listen", "127.0.0.1:0", "--no-install", "--data-dir", folder]
        command += ["--models-dir", options.models_dir, "--set", "embedding.workers=1"]
        if smallest:
            command += ["--set", f"embedding.smallest_face={smallest}"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL)
        atexit.register(self.process.kill)
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            sys.exit("the server did not start")
        self.url = line.split()[-1].rstrip("/")
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while not self.is_ready():
            time.sleep(0.1)

    def is_ready(self):
        try:
            answer = self.opener.open(f"{self.url}/faces/models", timeout=10)
            return any(model["loaded"] and model["default"] for model in json.load(answer)["result"]["models"])
        except urllib.error.URLError:
            return False

    def look(self, photo, route="embed", faces="all", least=None):
        asked = {"image": base64.b64encode(photo).decode(), "faces": faces}
        if least:
            asked["min_face_size"] = least
        body = json.dumps(asked).encode()
        request = urllib.request.Request(f"{self.url}/faces/{route}", body, {"content-type": "application/json"})
        try:
            with self.opener.open(request, timeout=120) as answer:
                said = json.load(answer)
        except urllib.error.HTTPError as refused:
            sys.exit(f"/faces/{route}: {refused.code} {refused.read().decode()}")
        return said["result"]["faces"], said["time"]


class Person:
    """A photo whose face is known."""

    def __init__(self, image, face):
        self.image, self.box, self.vector = image, face["box"], face["vector"]

    def sized(self, size):
        """What is around the face, as large as makes its box so large, and where the box lies in it."""
        x, y, width, height = self.box
        side = max(width, height)
        left, top = max(0, x - side / 2), max(0, y - side / 2)
        right, down = min(self.image.width, x + 1.5 * side), min(self.image.height, y + 1.5 * side)
        scale = size / side
        pixels = [max(1, round((b - a) * scale)) for a, b in ((left, right), (top, down))]
        piece = self.image.resize(pixels, Image.LANCZOS, (left, top, right, down))
        return piece, [(x - left) * scale, (y - top) * scale, width * scale, height * scale]

    def beside(self):
        """What lies to the left and right of the face and what belongs to it."""
        x, _, width, _ = self.box
        ends = ((0, x - 0.7 * width), (x + 1.7 * width, self.image.width))
        strips = [(int(a), 0, int(b), self.image.height) for a, b in ends if b - a >= 24]
        return [self.image.crop(strip) for strip in strips]


def people(server, options, chance):
    files = sorted(file for file in pathlib.Path(options.photos).rglob("*") if file.suffix.lower() == ".jpg")
    chance.shuffle(files)
    known, names = [], set()
    for file in files:
        if file.parent.name in names and file.parent != pathlib.Path(options.photos):
            continue
        photo = file.read_bytes()
        faces, _ = server.look(photo)
        if len(faces) == 1 and faces[0]["confidence"] >= 0.9:
            names.add(file.parent.name)
            known.append(Person(Image.open(io.BytesIO(photo)).convert("RGB"), faces[0]))
        if len(known) == COLUMNS * ROWS * options.groups:
            return known
    sys.exit(f"only {len(known)} photos have one face, {COLUMNS * ROWS * options.groups} are needed")


def ground(known, options, chance):
    photo = Image.new("RGB", (options.width, options.height))
    strips = [strip for person in known for strip in person.beside()]
    x = 0
    while x < photo.width:
        y, widest = 0, 1
        times = chance.choice((1, 2, 4, 8))
        while y < photo.height:
            strip = chance.choice(strips)
            strip = strip.resize((strip.width * times, strip.height * times), Image.BICUBIC)
            photo.paste(strip, (x, y))
            y, widest = y + strip.height, max(widest, strip.width)
        x += widest
    return photo


def jpeg(photo):
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=92)
    return file.getvalue()


def turned(photo, boxes, degrees):
    """A photo that lies, and where what was in these places is then."""
    across, down = photo.size
    places = {
        0: lambda *box: box,
        90: lambda x, y, width, height: (down - y - height, x, height, width),
        180: lambda x, y, width, height: (across - x - width, down - y - height, width, height),
        270: lambda x, y, width, height: (y, across - x - width, height, width),
    }
    lying = photo.transpose(TURNS[degrees]) if degrees else photo
    return jpeg(lying), [places[degrees](*box) for box in boxes]


def group(some, size, options, chance, known):
    """A photo with a face in each cell of a grid, and where they are."""
    photo, boxes = ground(known, options, chance), []
    across, down = options.width // COLUMNS, options.height // ROWS
    for at, person in enumerate(some):
        piece, (x, y, width, height) = person.sized(size)
        left = at % COLUMNS * across + chance.randrange(max(1, across - piece.width))
        top = at // COLUMNS * down + chance.randrange(max(1, down - piece.height))
        photo.paste(piece, (left, top))
        boxes.append((left + x, top + y, width, height))
    return photo, boxes


def alone(person, size, options, chance, known):
    photo = ground(known, options, chance)
    piece, (x, y, width, height) = person.sized(size)
    left, top = chance.randrange(photo.width - piece.width), chance.randrange(photo.height - piece.height)
    photo.paste(piece, (left, top))
    return photo, (left + x, top + y, width, height)


def overlap(a, b):
    shared = [max(0, min(a[i] + a[i + 2], b[i] + b[i + 2]) - max(a[i], b[i])) for i in (0, 1)]
    both = shared[0] * shared[1]
    return both / (a[2] * a[3] + b[2] * b[3] - both)


def face_at(faces, box):
    best = max(faces, key=lambda face: overlap(face["box"], box), default=None)
    return best if best and overlap(best["box"], box) > SAME else None


class Tally:
    """What one of the servers makes of the faces of one size."""

    def __init__(self):
        self.shown = self.found = self.flagged = self.others = self.single = self.singles = 0
        self.cosines, self.times = [], []

    def group(self, server, photo, boxes, some, least=None):
        faces, _ = server.look(photo, least=least)
        _, spent = server.look(photo, "detect", least=least)
        self.times.append(spent * 1e3)
        hits = 0
        for person, box in zip(some, boxes):
            self.shown += 1
            if face := face_at(faces, box):
                hits += 1
                self.flagged += bool(set(face["quality"]["flaws"]) & {"small", "blurred"})
                self.cosines.append(sum(a * b for a, b in zip(face["vector"], person.vector)))
        self.found += hits
        self.others += len(faces) - hits

    def alone(self, server, photo, box):
        faces, _ = server.look(photo, "detect", "largest")
        self.singles += 1
        self.single += face_at(faces, box) is not None

    def told(self):
        median = f"{statistics.median(self.cosines):.2f}" if self.cosines else "-"
        poor = f"{self.flagged} of {self.found}" if self.found else "-"
        row = (f"{self.found} of {self.shown}", median, poor, self.others, f"{self.single} of {self.singles}")
        return " | ".join(map(str, row)) + f" | {statistics.median(self.times):.0f}"

    def briefly(self):
        """Without what the quality says."""
        told = self.told().split(" | ")
        return " | ".join(told[:2] + told[3:])


def upright(servers, known, options, chance):
    print("| pixels of a face | | found | cosine | small or blurred | others taken for faces | found alone | ms |")
    print("| --: | --- | --: | --: | --: | --: | --: | --: |")
    for size in options.sizes:
        tallies = {name: Tally() for name in servers}
        least = round(0.7 * size) if options.at_least else None
        for number in range(options.groups):
            some = known[number * COLUMNS * ROWS :][: COLUMNS * ROWS]
            photo, boxes = group(some, size, options, chance, known)
            file = jpeg(photo)
            for name, server in servers.items():
                tallies[name].group(server, file, boxes, some, least)
        for person in known[: options.alone]:
            photo, box = alone(person, size, options, chance, known)
            file = jpeg(photo)
            for name, server in servers.items():
                tallies[name].alone(server, file, box)
        for name, tally in tallies.items():
            print(f"| {size} | {name} | {tally.told()} |", flush=True)


def lying(servers, known, options, chance):
    print("\n| pixels of a face | turned by | | found | cosine | others taken for faces | found alone | ms |")
    print("| --: | --: | --- | --: | --: | --: | --: | --: |")
    for size in options.turned:
        some = known[: COLUMNS * ROWS]
        together, boxes = group(some, size, options, chance, known)
        singles = [alone(person, size, options, chance, known) for person in known[: options.alone]]
        for degrees in TURNS:
            tallies = {name: Tally() for name in servers}
            photo, places = turned(together, boxes, degrees)
            single = [turned(photo, [box], degrees) for photo, box in singles]
            for name, server in servers.items():
                tallies[name].group(server, photo, places, some)
                for one, [box] in single:
                    tallies[name].alone(server, one, box)
            for name, tally in tallies.items():
                print(f"| {size} | {degrees} | {name} | {tally.briefly()} |", flush=True)


def empty(servers, known, options, chance):
    print("\n| photos without a face | | taken for faces, of these surely (0.9) | ms, all faces | ms, largest |")
    print("| --: | --- | --: | --: | --: |")
    photos = [jpeg(ground(known, options, chance)) for _ in range(options.empty)]
    for name, server in servers.items():
        all_faces = [server.look(photo, "detect") for photo in photos]
        largest = [server.look(photo, "detect", "largest") for photo in photos]
        faces = [face for faces, _ in all_faces for face in faces]
        sure = sum(face["confidence"] >= 0.9 for face in faces)
        times = [statistics.median(spent * 1e3 for _, spent in some) for some in (all_faces, largest)]
        print(f"| {len(photos)} | {name} | {len(faces)}, {sure} | {times[0]:.0f} | {times[1]:.0f} |")


def main():
    options = arguments()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        servers = {
            "one look": Server(options.doppel, options, f"{folder}/one", NEVER),
            "closer": Server(options.doppel, options, f"{folder}/closer", options.smallest_face),
        }
        known = people(servers["one look"], options, chance)
        print(f"{options.width} x {options.height} pixels, seed {options.seed}\n")
        upright(servers, known, options, chance)
        if options.baseline:
            servers["baseline"] = Server(options.baseline, options, f"{folder}/baseline", options.smallest_face)
        # Of their own, whatever came before.
        lying(servers, known, options, random.Random(options.seed + 1))
        empty(servers, known, options, random.Random(options.seed + 2))
        for server in servers.values():
            server.process.terminate()
            server.process.wait()


main()
