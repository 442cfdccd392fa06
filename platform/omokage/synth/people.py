"""Who is drawn: an identity is a shape of the head and the colours of skin, hair, lips and eyes.

A person is given by a seed and a number alone, so the tenth person is the same whether ten are drawn or a
thousand. Colours are linear-light RGB in [0, 1] unless they say sRGB.

Shape key: V vertices of the head mesh, C colour channels (3).
"""

import functools
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from omokage.synth import head

FloatArray = NDArray[np.float32]

ANCESTRIES: Final = ("african", "asian", "caucasian")
SEXES: Final = ("female", "male")
TARGETS: Final = "mpfb2/targets/"

FOLDERS: Final = {
    "head": 0.20,
    "nose": 0.36,
    "eyes": 0.30,
    "mouth": 0.28,
    "chin": 0.32,
    "cheek": 0.36,
    "ears": 0.25,
    "forehead": 0.25,
    "eyebrows": 0.35,
    "neck": 0.15,
}
"""Folder of shape targets: standard deviation of their weights, which are cut at 0.8."""

OPPOSITES: Final = (
    ("incr", "decr"),
    ("up", "down"),
    ("in", "out"),
    ("forward", "backward"),
    ("convex", "concave"),
    ("compress", "uncompress"),
)

SKINS: Final = ((244, 214, 196), (226, 182, 152), (198, 146, 112), (150, 100, 70), (104, 68, 48), (62, 41, 32))
"""sRGB, from light to dark."""
SKIN_RANGE: Final = {"african": (0.55, 1.0), "asian": (0.08, 0.5), "caucasian": (0.0, 0.38)}
HAIRS: Final = {
    "black": (22, 19, 20),
    "dark brown": (48, 32, 24),
    "brown": (84, 54, 34),
    "auburn": (110, 50, 28),
    "dark blond": (142, 104, 62),
    "blond": (200, 164, 104),
    "grey": (138, 134, 130),
    "white": (206, 203, 198),
}
"""sRGB."""
IRISES: Final = ((52, 30, 18), (86, 52, 26), (110, 84, 44), (86, 104, 62), (82, 112, 140), (108, 124, 132))
"""sRGB, brown to grey."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hair:
    """Where hair grows; heights in decimetres of the undeformed head."""

    style: str
    """bald, buzz, short, medium or long."""
    colour: tuple[float, float, float]
    natural: tuple[float, float, float]
    """Before dyeing: of brows and beard."""
    front: float
    """How much lower (-, a fringe) or higher (+) than usual the hairline lies over the forehead."""
    temple: float
    """How far the temples recede."""
    volume: float
    """Thickness over the scalp, in decimetres."""
    parting: float
    """Where the fringe parts: turn about the head's axis, in radians."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Person:
    """One identity. Two are equal when they are the same object, which lets caches be keyed by one."""

    seed: int
    number: int
    age: float
    """In [0, 1]: 0 a young adult, 1 old."""
    sex: str
    ancestry: str
    """The strongest one; most people are a mixture."""
    shape: FloatArray
    """The head's vertices, (V, 3), in decimetres."""
    skin: tuple[float, float, float]
    lips: tuple[float, float, float]
    iris: tuple[float, float, float]
    brow: tuple[float, float, float, float]
    """Thickness in dm, density in [0, 1], height in dm above usual, arch in dm."""
    beard: float
    """Density in [0, 1]; 0 is none."""
    freckles: int
    blush: float
    cloth: tuple[float, float, float]
    neckline: float
    """Height in dm from which clothes cover the body."""
    hair: Hair


def linear(srgb: tuple[float, ...] | FloatArray) -> FloatArray:
    """Return linear-light values of sRGB values in [0, 255] (a plain 2.2 power)."""
    return ((np.asarray(srgb, np.float32) / 255) ** 2.2).astype(np.float32)


@functools.lru_cache(maxsize=64)
def person(seed: int, number: int) -> Person:
    """Return person ``number`` of ``seed``; kept in memory for the last few people."""
    rng = np.random.default_rng([seed, number, 1])
    sex = SEXES[int(rng.random() < 0.5)]
    age = float(rng.beta(1.1, 1.6))
    mixture = rng.dirichlet([0.4, 0.4, 0.4])
    shape_V3 = _shape(rng, sex, age, mixture)
    skin, depth = _skin(rng, mixture)
    hair = _hair(rng, sex, age, depth)
    male = sex == "male"
    ruddy = rng.normal(0, 1, 3)
    red = 0.0 if male else float(rng.uniform(0, 34))  # some women paint their lips
    lips = skin * linear((247, 200 + 12 * ruddy[0] - red, 204 + 10 * ruddy[1] - red))
    iris = linear(IRISES[min(int(rng.exponential(0.6 + 2.6 * (1 - depth) ** 2)), len(IRISES) - 1)])
    return Person(
        seed=seed,
        number=number,
        age=age,
        sex=sex,
        ancestry=ANCESTRIES[int(mixture.argmax())],
        shape=shape_V3,
        skin=_triple(skin),
        lips=_triple(np.clip(lips, 0.01, 1)),
        iris=_triple(iris),
        brow=(
            float(np.clip(rng.normal(0.052 if male else 0.038, 0.012), 0.02, 0.09)),
            float(rng.uniform(0.45, 0.95)),
            float(rng.normal(0, 0.02)),
            float(np.clip(rng.normal(0.05 if male else 0.07, 0.03), 0, 0.14)),
        ),
        beard=float(rng.uniform(0.15, 0.9)) if male and rng.random() < 0.45 else 0.0,
        freckles=int(rng.integers(40, 160)) if depth < 0.35 and rng.random() < 0.3 else int(rng.integers(0, 8)),
        blush=float(rng.uniform(0.02, 0.22)),
        cloth=_triple(linear(tuple(rng.uniform(20, 225, 3)))),
        neckline=float(rng.uniform(5.0, 5.7)),
        hair=hair,
    )


def _triple(colour: FloatArray) -> tuple[float, float, float]:
    return float(colour[0]), float(colour[1]), float(colour[2])


def _shape(rng: np.random.Generator, sex: str, age: float, mixture: NDArray[np.float64]) -> FloatArray:
    mesh = head.load()
    shape_V3 = mesh.rest.copy()
    lean = float(np.clip(rng.normal(0.82, 0.15), 0.5, 1))  # how much of the sex's typical shape
    other = SEXES[1 - SEXES.index(sex)]
    for ancestry, share in zip(ANCESTRIES, mixture, strict=True):
        for years, part in (("young", 1 - age), ("old", age)):
            for kind, of in ((sex, lean), (other, 1 - lean)):
                _add(shape_V3, f"{TARGETS}macrodetails/{ancestry}-{kind}-{years}", share * part * of)
    build = rng.normal(0, 0.4, 2).clip(-0.8, 0.8)
    weight = "maxweight" if build[0] > 0 else "minweight"
    muscle = "maxmuscle" if build[1] > 0 else "minmuscle"
    for years, part in (("young", 1 - age), ("old", age)):
        stem = f"{TARGETS}macrodetails/universal-{sex}-{years}"
        _add(shape_V3, f"{stem}-averagemuscle-{weight}", abs(build[0]) * part)
        _add(shape_V3, f"{stem}-{muscle}-averageweight", abs(build[1]) * part)
    for folder, spread in FOLDERS.items():
        for name, share in _weights(rng, folder, spread):
            _add(shape_V3, name, share)
    for name in head.target_names(TARGETS + "asym"):
        share = rng.normal(0, 0.25)
        if "asymm-" not in name and share > 0:
            _add(shape_V3, name, min(share, 0.9))
    return shape_V3


def _add(shape_V3: FloatArray, name: str, share: float) -> None:
    if share > 1e-3:
        index_K, move_K3 = head.load().target(name)
        shape_V3[index_K] += np.float32(share) * move_K3


def _weights(rng: np.random.Generator, folder: str, spread: float) -> list[tuple[str, float]]:
    """Return targets of one folder with random weights; of two opposites at most one, left like right."""
    chosen = []
    for plus, minus in _axes(folder):
        share = float(np.clip(rng.normal(0, spread), -0.8, 0.8))
        name = plus if share > 0 else minus
        if name is None:
            continue
        if "/l-" in name:
            lopsided = float(rng.normal(0, 0.05))
            chosen.append((name.replace("/l-", "/r-"), abs(share) + lopsided))
        chosen.append((name, abs(share)))
    return chosen


@functools.cache
def _axes(folder: str) -> tuple[tuple[str, str | None], ...]:
    """Return the axes of variation of a folder: a target and its opposite; the right side follows the left."""
    names = [
        name
        for name in head.target_names(TARGETS + folder)
        # "trans" in whole-head and sideways directions only move the head in the picture
        if "/r-" not in name and "head-trans" not in name and "-age-" not in name and "measure-" not in name
    ]
    axes: list[tuple[str, str | None]] = []
    paired = {}
    for name in names:
        stem, _, end = name.rpartition("-")
        for plus, minus in OPPOSITES:
            if end == plus and f"{stem}-{minus}" in names:
                axes.append((name, f"{stem}-{minus}"))
                paired[name] = paired[f"{stem}-{minus}"] = True
    axes.extend((name, None) for name in names if name not in paired)
    return tuple(axes)


def _skin(rng: np.random.Generator, mixture: NDArray[np.float64]) -> tuple[FloatArray, float]:
    """Return skin colour and its depth, 0 light to 1 dark."""
    drawn = [rng.uniform(*SKIN_RANGE[ancestry]) for ancestry in ANCESTRIES]
    depth = float(np.dot(mixture, drawn))
    place = depth * (len(SKINS) - 1)
    low = min(int(place), len(SKINS) - 2)
    srgb = np.array(SKINS[low]) * (1 - place + low) + np.array(SKINS[low + 1]) * (place - low)
    hue = rng.normal(0, 1)
    srgb = srgb * (1 + np.array([0.0, 0.02, -0.03]) * hue) * rng.normal(1, 0.02)
    return linear(np.clip(srgb, 20, 250)), depth


def _hair(rng: np.random.Generator, sex: str, age: float, depth: float) -> Hair:
    names = list(HAIRS)
    chance = np.array([1 + 4 * depth, 1.5, 1.2, 0.4, 0.5, 0.7, 0.0, 0.0])
    chance[2:6] *= max(0.05, 1 - 2 * depth)
    chance[6:] = max(0.0, age - 0.35) * 6
    natural = linear(HAIRS[names[int(rng.choice(len(names), p=chance / chance.sum()))]])
    natural = natural * rng.normal(1, 0.12)
    dyed = linear(tuple(rng.uniform(40, 190, 3))) if rng.random() < 0.03 else natural
    styles = ("bald", "buzz", "short", "medium", "long")
    odds = (0.10, 0.16, 0.46, 0.22, 0.06) if sex == "male" else (0.01, 0.03, 0.18, 0.33, 0.45)
    style = styles[int(rng.choice(5, p=odds))]
    fringe = style in ("medium", "long") and rng.random() < 0.4
    receding = sex == "male" and rng.random() < 0.3 + 0.4 * age
    return Hair(
        style=style,
        colour=_triple(np.clip(dyed, 0.004, 0.8)),
        natural=_triple(np.clip(natural, 0.004, 0.8)),
        front=float(rng.uniform(-0.33, -0.15) if fringe else rng.normal(0.02, 0.06)),
        temple=float(rng.uniform(0.1, 0.35) if receding else rng.uniform(-0.08, 0.08)),
        volume={"bald": 0.0, "buzz": 0.012, "short": 0.13, "medium": 0.20, "long": 0.20}[style]
        * float(rng.uniform(0.7, 1.4)),
        parting=float(rng.uniform(-0.6, 0.6)),
    )
