"""Photos of people that are free, for the examples and the tests of the page; none is kept in the
repository. Run as `python photos.py FOLDER`, which then has a folder for each person.

The photos come out of packages that carry them for their own tests and examples. All are works of
the federal government of the United States, made by its employees on duty, and so in the public
domain (17 U.S.C. 105); conformance/PHOTOS.md says where each comes from. Packages and photos are
pinned by SHA-256. Two people of whom there is one photo get two more made of it: the mirror image,
and one that is darker and cut closer.
"""

import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

from PIL import Image, ImageEnhance, ImageOps

# What pip is asked for, how, and the SHA-256 of the file that comes.
WHEEL = [
    "--only-binary=:all:", "--python-version=3.11", "--implementation=cp", "--abi=cp311",
    "--platform=manylinux_2_28_x86_64", "--platform=manylinux2014_x86_64",
]
PACKAGES = {
    "face_recognition": (
        "face_recognition==1.3.0", ["--no-binary=:all:"],
        "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec",
    ),
    "matplotlib": (
        "matplotlib==3.11.2", WHEEL,
        "07d9b9fa60cd4c393692f50d0bb03123242ddf61c99bb0e95e75feb354e7c1a8",
    ),
    "scikit-image": (
        "scikit-image==0.26.0", WHEEL,
        "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
    ),
}
# Person, package, file in it, SHA-256 of the file.
TESTS = "face_recognition-1.3.0/tests/test_images"
PHOTOS = [
    ("Barack_Obama", "face_recognition", f"{TESTS}/obama.jpg",
     "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6"),
    ("Barack_Obama", "face_recognition", f"{TESTS}/obama2.jpg",
     "a7efcc907375274796f39646510704aa86672d59f6d5469d69af3c85590976a6"),
    ("Barack_Obama", "face_recognition", f"{TESTS}/obama3.jpg",
     "76ac6bf97c36dc2da0ad16a537d6a5ac1b10f48d49aac29a0cca9a17cdbc3ca3"),
    ("Joe_Biden", "face_recognition", f"{TESTS}/biden.jpg",
     "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c"),
    ("Grace_Hopper", "matplotlib", "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
     "a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130"),
    ("Eileen_Collins", "scikit-image", "skimage/data/astronaut.png",
     "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"),
]
# People who get photos made of their own.
VARIED = ["Eileen_Collins", "Grace_Hopper"]
LARGEST = 1024


def main(folder):
    target = pathlib.Path(folder)
    done = target / "done.json"
    wanted = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()
    if done.exists() and json.loads(done.read_text()) == wanted:
        return
    shutil.rmtree(target / "people", ignore_errors=True)
    with tempfile.TemporaryDirectory() as work:
        archives = {name: fetched(name, pathlib.Path(work) / name) for name in PACKAGES}
        for person, package, member, sha256 in PHOTOS:
            content = taken(archives[package], member)
            got = hashlib.sha256(content).hexdigest()
            if got != sha256:
                sys.exit(f"{package}: {member} has the SHA-256 {got}, expected {sha256}")
            keep(target / "people" / person, content, work)
    for person in VARIED:
        vary(target / "people" / person)
    done.write_text(json.dumps(wanted))


def fetched(name, folder):
    """The archive of a package, which pip has checked."""
    requirement, options, sha256 = PACKAGES[name]
    folder.mkdir()
    pinned = folder / "requirements.txt"
    pinned.write_text(f"{requirement} --hash=sha256:{sha256}\n")
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--require-hashes", "--dest", str(folder), *options, "--requirement", str(pinned),
    ]
    subprocess.run(command, check=True)
    [archive] = [path for path in folder.iterdir() if path != pinned]
    return archive


def taken(archive, member):
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(member)
    with tarfile.open(archive) as source:
        return source.extractfile(member).read()


def keep(folder, content, work):
    """The photo as a JPEG of a decent size, without what else its file says."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = pathlib.Path(work) / "photo"
    raw.write_bytes(content)
    with Image.open(raw) as photo:
        photo = photo.convert("RGB")
        photo.thumbnail((LARGEST, LARGEST))
        save(photo, folder)


def vary(folder):
    [only] = folder.iterdir()
    with Image.open(only) as photo:
        photo.load()
    width, height = photo.size
    closer = photo.crop((width // 16, height // 32, width - width // 16, height - height // 8))
    for other in ImageOps.mirror(photo), ImageEnhance.Brightness(closer).enhance(0.7):
        save(other, folder)


def save(photo, folder):
    number = len(list(folder.iterdir())) + 1
    photo.save(folder / f"{folder.name}_{number:04}.jpg", quality=90)


if __name__ == "__main__":
    main(*sys.argv[1:])
