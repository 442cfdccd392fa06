"""YuNet: finds faces of any size, in batches, on a processor or a graphics card.

Shape key: N pictures of a batch, A cells of a stride's grid, F faces of a picture.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

from omokage import weights
from omokage.errors import ConfigError
from omokage.vision import shrink, silence
from omokage.vision.faces import DetectConfig, Faces, ranked

STRIDES: Final = (8, 16, 32)
OUTPUTS: Final = ("cls", "obj", "bbox", "kps")

LONGEST_SIDE: Final = 640
"""Larger pictures are shrunk to this many pixels. A face of 1/60 of the longer side is then 10 pixels, about
the smallest that the network knows."""

SAME_FACE_IOU: Final = 0.3

BATCH: Final = {"cpu": 1, "cuda": 32}
"""Pictures in one run. On a processor larger batches only leave its cache."""

PROVIDERS: Final[dict[str, list[str | tuple[str, dict[str, str]]]]] = {
    "cpu": ["CPUExecutionProvider"],
    # The default search would try every algorithm anew for every size of picture.
    "cuda": [("CUDAExecutionProvider", {"cudnn_conv_algo_search": "HEURISTIC"})],
}


class YuNet:
    """Detector ``yunet``."""

    name = "yunet"
    weights = ("yunet",)

    def __init__(self, config: DetectConfig) -> None:
        self._min_score = config.min_score
        self._batch = BATCH[config.device]
        self._session = _session(config)
        self._outputs = [f"{kind}_{stride}" for stride in STRIDES for kind in OUTPUTS]

    def __call__(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Faces]:
        """Return the faces of every picture.

        Pictures share a run only when they need the same size of input, so that what is found in one
        does not depend on the others.
        """
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        small = [shrink.fit(picture, LONGEST_SIDE) for picture in pictures]
        for number, picture in enumerate(small):
            groups[_padded(picture.shape[0]), _padded(picture.shape[1])].append(number)
        answers: dict[int, Faces] = {}
        for shape, group in groups.items():
            for start in range(0, len(group), self._batch):
                numbers = group[start : start + self._batch]
                found = self._run([small[number] for number in numbers], shape)
                answers |= {
                    number: _scaled(faces, small[number].shape, pictures[number].shape)
                    for number, faces in zip(numbers, found, strict=True)
                }
        return [answers[number] for number in range(len(pictures))]

    def _run(self, pictures: list[NDArray[np.uint8]], shape: tuple[int, int]) -> list[Faces]:
        """Return the faces of pictures that fit into one shape, in those pictures' pixels."""
        square_NHW3 = np.zeros((len(pictures), *shape, 3), np.uint8)
        for square, picture in zip(square_NHW3, pictures, strict=True):
            square[: picture.shape[0], : picture.shape[1]] = picture
        # blobFromImages swaps red and blue: the network wants BGR, 0 to 255.
        blob_N3HW = cv2.dnn.blobFromImages(list(square_NHW3), swapRB=True)
        outputs = self._session.run(self._outputs, {"input": blob_N3HW})
        parts = [outputs[start : start + len(OUTPUTS)] for start in range(0, len(outputs), len(OUTPUTS))]
        return [
            decode([[values[number] for values in part] for part in parts], shape, self._min_score)
            for number in range(len(pictures))
        ]


def decode(outputs: Sequence[Sequence[NDArray[np.float32]]], shape: tuple[int, int], min_score: float) -> Faces:
    """Return the faces of one picture, in pixels of the network's input.

    Args:
        outputs: For each stride class (A, 1), objectness (A, 1), box (A, 4) and five points (A, 10).
        shape: Height and width of the input in pixels, multiples of 32.
        min_score: Lower ones are left out, in (0, 1).

    Source:
        Wu, Peng, Yu: YuNet, a tiny millisecond-level face detector, 2023; compared with cv2.FaceDetectorYN.
    """
    boxes, landmarks, scores = [], [], []
    for stride, (cls_A1, obj_A1, box_A4, point_A10) in zip(STRIDES, outputs, strict=True):
        score_A = np.sqrt(cls_A1[:, 0].clip(0, 1) * obj_A1[:, 0].clip(0, 1))
        likely = np.flatnonzero(score_A >= min_score)
        row, column = np.divmod(likely, shape[1] // stride)
        cell_A2 = np.stack([column, row], axis=1).astype(np.float32)
        centre_A2 = (cell_A2 + box_A4[likely, :2]) * stride
        half_A2 = np.exp(box_A4[likely, 2:].clip(max=10)) * stride / 2  # e^10 cells: larger than any picture
        boxes.append(np.concatenate([centre_A2 - half_A2, centre_A2 + half_A2], axis=1))
        landmarks.append((cell_A2[:, None] + point_A10[likely].reshape(-1, 5, 2)) * stride)
        scores.append(score_A[likely])
    found = ranked(np.concatenate(boxes), np.concatenate(landmarks), np.concatenate(scores))
    corner_and_size = np.concatenate([found.box_F4[:, :2], found.box_F4[:, 2:] - found.box_F4[:, :2]], axis=1)
    best = cv2.dnn.NMSBoxes(corner_and_size.tolist(), found.score_F.tolist(), 0.0, SAME_FACE_IOU)
    kept = np.sort(np.array(best, np.int64))  # the order of ``ranked``
    return Faces(found.box_F4[kept], found.landmarks_F52[kept], found.score_F[kept])


def any_size(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the published network, made for one picture of 640 x 640, with any batch, height and width.

    Only its Reshape nodes know the size of the batch: they begin with a 1, which becomes a 0, "as it was".
    """
    graph = model.graph
    targets = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    for constant in graph.initializer:
        if constant.name in targets:
            _, *others = onnx.numpy_helper.to_array(constant).tolist()
            constant.CopyFrom(onnx.numpy_helper.from_array(np.array([0, *others], np.int64), constant.name))
    batch, _, height, width = graph.input[0].type.tensor_type.shape.dim
    batch.dim_param, height.dim_param, width.dim_param = "N", "H", "W"
    for output in graph.output:
        first, cells, _ = output.type.tensor_type.shape.dim
        first.dim_param, cells.dim_param = "N", f"cells_{output.name}"
    del graph.value_info[:]
    return model


def _session(config: DetectConfig) -> Any:
    """Return the network, ready to run.

    Raises:
        ConfigError: The device is not to be had.
    """
    onnxruntime = silence.import_onnxruntime()
    _check(config, onnxruntime.get_available_providers())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = config.threads
    options.log_severity_level = 3  # the published file warns of constants that it does not use
    model = any_size(onnx.load(weights.path("yunet"))).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=PROVIDERS[config.device])
    _check(config, session.get_providers())  # a build with CUDA falls back too, when the card or a library is missing
    return session


def _check(config: DetectConfig, providers: list[str]) -> None:
    """Raise where onnxruntime would use the processor in place of the card, which it does without an error."""
    if config.device == "cuda" and "CUDAExecutionProvider" not in providers:
        raise ConfigError("detect.device is 'cuda', but onnxruntime finds no CUDA: install omokage[gpu], or use 'cpu'")


def _padded(length: int) -> int:
    """Return the next multiple of the largest stride."""
    return -(-length // STRIDES[-1]) * STRIDES[-1]


def _scaled(faces: Faces, small: tuple[int, ...], full: tuple[int, ...]) -> Faces:
    """Return the faces of a shrunk picture in pixels of the full one; shapes are (H, W, 3)."""
    scale_2 = np.array([full[1] / small[1], full[0] / small[0]], np.float32)
    half = np.float32(0.5)  # the centre of the first pixel is (0, 0) in both
    corner_F22 = (faces.box_F4.reshape(-1, 2, 2) + half) * scale_2 - half
    return Faces(corner_F22.reshape(-1, 4), (faces.landmarks_F52 + half) * scale_2 - half, faces.score_F)
