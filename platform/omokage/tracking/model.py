"""A trained model in MLflow's registry, with its signature, so that other programs can load it by name."""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from omokage.tracking import words

RUNTIMES: Final = ("onnx", "onnxruntime", "numpy")
"""What a program needs that loads the model. Named here: MLflow would run the model in a program of its own to find
out, and ask a package registry about each."""

HASH: Final = "sha256"


@dataclass(frozen=True, kw_only=True, slots=True)
class OnnxModel:
    """An exported model, to be registered; ``Tracker.model`` takes it."""

    file: Path
    """The ONNX file."""
    name: str
    """In the registry; each training adds a version."""
    extras: tuple[Path, ...] = ()
    """Files that belong to it: its description, its card."""
    tags: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, client: Any, experiment: str, run_id: str) -> None:
        """Register the model as a version of its name, unless that very file is one already."""
        from mlflow.exceptions import MlflowException

        digest = hashlib.sha256(self.file.read_bytes()).hexdigest()
        name = words.key(self.name).replace("/", "_").replace(":", "_")
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        if any(each.tags.get(HASH) == digest for each in client.search_model_versions(f"run_id = '{run_id}'")):
            return
        model = client.create_logged_model(experiment, name=name, source_run_id=run_id, model_type="onnx")
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "model"
            self._save(folder)
            client.log_model_artifacts(model.model_id, str(folder))
        client.finalize_logged_model(model.model_id, "READY")
        # models:/ is looked up where MLflow's global state says: right on a server, in nobody's database here
        place = f"models:/{model.model_id}" if client.tracking_uri.startswith("http") else model.artifact_location
        tags = {HASH: digest} | {words.key(k): words.text(v, words.TAG) for k, v in self.tags.items()}
        client.create_model_version(name, place, run_id=run_id, tags=tags, model_id=model.model_id)

    def _save(self, folder: Path) -> None:
        """Write the model as MLflow keeps one."""
        import mlflow.onnx
        import onnx

        network = onnx.load(self.file)
        needs = [f"{package}=={version(package)}" for package in RUNTIMES]
        extras = [str(file) for file in self.extras]
        mlflow.onnx.save_model(
            network,
            str(folder),
            signature=_signature(network),
            pip_requirements=needs,
            extra_files=extras or None,
            save_as_external_data=False,
        )


def _signature(network: Any) -> Any:
    """Return what the network takes and gives; -1 for the dimensions that it leaves open."""
    import numpy as np
    import onnx
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    def spec(value: Any) -> Any:
        tensor = value.type.tensor_type
        kind = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        return TensorSpec(kind, tuple(d.dim_value or -1 for d in tensor.shape.dim), value.name)

    weights = {each.name for each in network.graph.initializer}
    inputs = [spec(value) for value in network.graph.input if value.name not in weights]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema([spec(value) for value in network.graph.output]))
