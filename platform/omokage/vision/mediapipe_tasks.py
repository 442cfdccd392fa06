"""MediaPipe's face models in MediaPipe's own runtime: the reference for ``mediapipe_litert.py``.

Slower, and it reports its use to its maker over the network unless its process has none: choose it to
compare, not for work on people's pictures.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from mediapipe import Image, ImageFormat
from mediapipe.tasks.python import BaseOptions, vision
from numpy.typing import NDArray

from omokage import weights
from omokage.vision import blazeface, mesh
from omokage.vision.blazeface import SAME_FACE_IOU, Found, Region
from omokage.vision.faces import DetectConfig, Faces, ranked
from omokage.vision.mediapipe_litert import MESH_SIDE, MIN_OVERLAP, MIN_PRESENCE, crop_region, visible

MAX_CROP_SIDE: Final = 1024
"""Larger crops are shrunk to this many pixels, so that memory is bounded; the networks look at 256 at most."""

MAX_NEIGHBOURS: Final = 4
"""Faces of one crop that are looked at to find the one that it was made for."""

REGION_TO_MESH: Final = 1.42
"""Side of what the landmark network sees, in longer sides of the mesh's box; on drawn people, give or take 5 %."""

_EYE_CORNERS: Final = (33, 263)


class MediapipeTasks:
    """Detector ``mediapipe-tasks``."""

    name = "mediapipe-tasks"
    weights = ("mediapipe-full-range", "mediapipe-landmarker")

    def __init__(self, config: DetectConfig) -> None:
        self._detector = vision.FaceDetector.create_from_options(
            vision.FaceDetectorOptions(
                base_options=BaseOptions(model_asset_path=str(weights.path("mediapipe-full-range"))),
                min_detection_confidence=config.min_score,
                min_suppression_threshold=SAME_FACE_IOU,
            )
        )
        self._landmarker = vision.FaceLandmarker.create_from_options(
            vision.FaceLandmarkerOptions(
                base_options=BaseOptions(model_asset_path=str(weights.path("mediapipe-landmarker"))),
                num_faces=MAX_NEIGHBOURS,
                min_face_presence_confidence=MIN_PRESENCE,
            )
        )

    def __call__(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Faces]:
        """Return the faces of every picture, one picture after the other."""
        return [self._faces(picture) for picture in pictures]

    def close(self) -> None:
        """End MediaPipe's threads. Left to the end of the process, it complains on standard error."""
        self._detector.close()
        self._landmarker.close()

    def _faces(self, picture: NDArray[np.uint8]) -> Faces:
        found = visible(self._find(picture), picture)
        faces = []
        for box_4, score in zip(found.box_F4, found.score_F, strict=True):
            mesh_478 = self._mesh(picture, box_4)
            if mesh_478 is not None:
                faces.append((mesh.box(mesh_478), mesh.landmarks(mesh_478), score))
        boxes, landmarks, scores = zip(*faces, strict=True) if faces else ((), (), ())
        return ranked(np.array(boxes), np.array(landmarks), np.array(scores))

    def _find(self, picture: NDArray[np.uint8]) -> Found:
        height, width = picture.shape[:2]
        detections = self._detector.detect(_image(picture)).detections
        boxes, points, scores = [], [], []
        for detection in detections:
            box = detection.bounding_box
            boxes.append((box.origin_x, box.origin_y, box.origin_x + box.width, box.origin_y + box.height))
            points.append([(point.x * width, point.y * height) for point in detection.keypoints])
            scores.append(detection.categories[0].score)
        return Found(
            np.array(boxes, np.float32).reshape(-1, 4),
            np.array(points, np.float32).reshape(-1, 6, 2),
            np.array(scores, np.float32),
        )

    def _mesh(self, picture: NDArray[np.uint8], box_4: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Return the 478 points of the face in a box, in pixels of the picture, or None if there is no face."""
        crop = crop_region(box_4)
        square = crop.warp(picture, min(round(crop.width), MAX_CROP_SIDE))
        meshes = [_mesh(crop, face) for face in self._landmarker.detect(_image(square)).face_landmarks]
        if not meshes:
            return None
        overlap_F = blazeface.iou(np.stack([mesh.box(points) for points in meshes]), box_4)
        return meshes[overlap_F.argmax()] if overlap_F.max() >= MIN_OVERLAP else None


def _image(picture: NDArray[np.uint8]) -> Any:
    return Image(image_format=ImageFormat.SRGB, data=np.ascontiguousarray(picture))


def _mesh(crop: Region, face: Any) -> NDArray[np.float32]:
    """Return the points of a face in pixels of the picture, whose first one's centre is (0, 0).

    MediaPipe places a point half a pixel of the landmark network's input too far down and to the right, seen
    from the upright face. How large such a pixel is it does not tell; the mesh does, to a few hundredths.
    """
    mesh_478 = crop.place(np.array([(point.x, point.y) for point in face], np.float32))
    x0, y0, x1, y1 = mesh.box(mesh_478).tolist()
    half = REGION_TO_MESH * max(x1 - x0, y1 - y0) / MESH_SIDE / 2
    along = mesh_478[_EYE_CORNERS[1]] - mesh_478[_EYE_CORNERS[0]]
    cos, sin = along / max(float(np.hypot(*along)), 1e-6)
    return mesh_478 - np.array([cos - sin, sin + cos], np.float32) * np.float32(half)
