"""MediaPipe's published face models, run by LiteRT: the quick and silent way.

First the full-range detector looks at the whole picture. Then, for each face, the short-range detector looks at
a crop round it, and the landmark network at the upright face. These last two are the FaceLandmarker bundle, which
alone would miss small faces; ``mediapipe_tasks.py`` runs the same three in MediaPipe's own runtime.

Shape key: F faces, S side of a network's input.
"""

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from omokage import weights
from omokage.vision import blazeface, mesh
from omokage.vision.blazeface import FULL_RANGE, SHORT_RANGE, Found, Layout, Region
from omokage.vision.faces import DetectConfig, Faces, ranked
from omokage.vision.silence import hushed

CROP_FACTOR: Final = 2.0
"""Side of the square that the short-range detector sees, in sides of the face's box."""

MESH_SIDE: Final = 256
MESH_FACTOR: Final = 1.5
"""Side of the rectangle that the landmark network sees, in sides of the face's box."""

MIN_PRESENCE: Final = 0.5
"""A mesh that the landmark network believes in less is no face."""

MIN_OVERLAP: Final = 0.1
"""IoU below which a face in a crop is a neighbour of the one that the crop was made for."""

MIN_INSIDE: Final = 0.25
"""Share of a box that lies in the picture; on very long and narrow pictures the networks can see boxes
that are mostly letterbox."""


class Network:
    """One .tflite model."""

    def __init__(self, model: bytes, threads: int) -> None:
        with hushed():  # it says which delegate it takes, once a process
            self._interpreter = Interpreter(model_content=model, num_threads=threads)
            self._interpreter.allocate_tensors()
        self._input: int = self._interpreter.get_input_details()[0]["index"]
        self._outputs: list[int] = [detail["index"] for detail in self._interpreter.get_output_details()]

    def __call__(self, square_SS3: NDArray[np.uint8], scale: float, shift: float) -> list[Any]:
        """Return the outputs for ``square * scale + shift``."""
        # A view of the network's own memory; it must be gone before the network runs.
        tensor = self._interpreter.tensor(self._input)()
        np.multiply(square_SS3, np.float32(scale), out=tensor[0])
        if shift:
            tensor += np.float32(shift)
        del tensor
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(output)[0] for output in self._outputs]


class BlazeFace:
    """One of the two detectors."""

    def __init__(self, model: bytes, layout: Layout, min_score: float, threads: int) -> None:
        self._network = Network(model, threads)
        self._layout = layout
        self._anchor_A2 = blazeface.anchors(layout)
        self._min_score = min_score

    def __call__(self, square_SS3: NDArray[np.uint8], place: Region) -> Found:
        """Return the faces in a square, in pixels of the picture that it was taken from."""
        raw_A16, logit_A1 = self._network(square_SS3, 1 / 127.5, -1)
        found = blazeface.decode(raw_A16, logit_A1[:, 0], self._anchor_A2, self._layout, self._min_score)
        corner_F22 = place.place(found.box_F4.reshape(-1, 2))
        points_F2 = place.place(found.points_F62.reshape(-1, 2))
        return Found(corner_F22.reshape(-1, 4), points_F2.reshape(-1, 6, 2), found.score_F)


class MediapipeLitert:
    """Detector ``mediapipe``."""

    name = "mediapipe"
    weights = ("mediapipe-full-range", "mediapipe-landmarker")

    def __init__(self, config: DetectConfig) -> None:
        full_range = weights.path("mediapipe-full-range").read_bytes()
        short_range, landmarker = bundle(weights.path("mediapipe-landmarker"))
        self._full_range = BlazeFace(full_range, FULL_RANGE, config.min_score, config.threads)
        self._short_range = BlazeFace(short_range, SHORT_RANGE, 0.5, config.threads)
        self._landmarker = Network(landmarker, config.threads)

    def __call__(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Faces]:
        """Return the faces of every picture, one picture after the other: batches bring nothing here."""
        return [self._faces(picture) for picture in pictures]

    def _faces(self, picture: NDArray[np.uint8]) -> Faces:
        found = visible(self._full_range(*blazeface.letterbox(picture, FULL_RANGE.side)), picture)
        faces = []
        for box_4, points_62, score in zip(*found, strict=True):
            mesh_478 = self._mesh(picture, self._face_region(picture, box_4, points_62))
            if mesh_478 is not None:
                faces.append((mesh.box(mesh_478), mesh.landmarks(mesh_478), score))
        boxes, landmarks, scores = zip(*faces, strict=True) if faces else ((), (), ())
        return ranked(np.array(boxes), np.array(landmarks), np.array(scores))

    def _face_region(
        self, picture: NDArray[np.uint8], box_4: NDArray[np.float32], points_62: NDArray[np.float32]
    ) -> Region:
        """Return what the landmark network is to see.

        The short-range detector places a small face ten times as exactly as the full-range one, which sees
        the whole picture in 192 pixels; the latter's word is used where the former sees nothing.
        """
        crop = crop_region(box_4)
        near = self._short_range(crop.warp(picture, SHORT_RANGE.side), crop)
        overlap_F = blazeface.iou(near.box_F4, box_4)
        if len(overlap_F) and overlap_F.max() >= MIN_OVERLAP:
            best = overlap_F.argmax()
            box_4, points_62 = near.box_F4[best], near.points_F62[best]
        return blazeface.upright(box_4, points_62, MESH_FACTOR)

    def _mesh(self, picture: NDArray[np.uint8], region: Region) -> NDArray[np.float32] | None:
        """Return the 478 points in pixels of the picture, or None where the network sees no face."""
        point_1434, presence, _ = self._landmarker(region.warp(picture, MESH_SIDE), 1 / 255, 0)
        if presence.item() < math.log(MIN_PRESENCE / (1 - MIN_PRESENCE)):
            return None
        # The network counts from the corner of its first pixel, and ``Region.warp`` from the centre.
        return region.place((point_1434.reshape(-1, 3)[:, :2] - np.float32(0.5)) / np.float32(MESH_SIDE))


def bundle(file: Path) -> tuple[bytes, bytes]:
    """Return the short-range detector and the landmark network of a ``face_landmarker.task`` file."""
    with zipfile.ZipFile(file) as archive:
        return archive.read("face_detector.tflite"), archive.read("face_landmarks_detector.tflite")


def visible(found: Found, picture: NDArray[np.uint8]) -> Found:
    """Return the faces of which enough lies in the picture."""
    height, width = picture.shape[:2]
    box_F22 = found.box_F4.reshape(-1, 2, 2)
    side_F2 = box_F22[:, 1] - box_F22[:, 0]
    inside_F22 = box_F22.clip(0, np.array([width, height], np.float32))
    share_F = ((inside_F22[:, 1] - inside_F22[:, 0]) / side_F2).prod(axis=1)
    kept = share_F >= MIN_INSIDE
    return Found(found.box_F4[kept], found.points_F62[kept], found.score_F[kept])


def crop_region(box_4: NDArray[np.float32]) -> Region:
    """Return the square round a face, on the whole pixels to which MediaPipe's own detector cuts its boxes."""
    x0, y0 = box_4[:2].astype(int).tolist()
    width, height = (box_4[2:] - box_4[:2]).astype(int).tolist()
    side = max(2, round(CROP_FACTOR * max(width, height)))
    return Region(x0 + width // 2 - side // 2 + side / 2, y0 + height // 2 - side // 2 + side / 2, side, side)
