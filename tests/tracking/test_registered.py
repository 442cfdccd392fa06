"""A model in MLflow's registry, loaded by MLflow itself."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import stores
from onnx import TensorProto, helper

from omokage.tracking import place
from omokage.tracking.model import OnnxModel
from omokage.tracking.tracker import About, Tracker


def network(file: Path, factor: float) -> Path:
    """Write a network that multiplies pictures of any number."""
    value = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 3, 4, 4])
    out = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", 3, 4, 4])
    by = helper.make_tensor("by", TensorProto.FLOAT, [1], [factor])
    graph = helper.make_graph([helper.make_node("Mul", ["pixels", "by"], ["embedding"])], "g", [value], [out], [by])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
    return file


def test_a_model_is_registered_once_with_its_signature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    store = stores.new(tmp_path / "store")
    tracker = Tracker.start(store, About(name="first", key="k"))
    card = tmp_path / "card.md"
    card.write_text("a card")
    model = OnnxModel(
        file=network(tmp_path / "m.onnx", 2.0), name="faces/of: 人物", extras=(card,), tags={"by": "test"}
    )
    tracker.model(model)
    tracker.model(model)  # as after a kill
    assert tracker.warnings == []
    client = place.client(store)
    (version,) = client.search_model_versions(f"run_id = '{tracker.run_id}'")
    assert (version.name, str(version.version), version.tags["by"]) == ("faces_of_ 人物", "1", "test")
    tracker.model(OnnxModel(file=network(tmp_path / "m.onnx", 3.0), name="faces/of: 人物"))
    assert len(client.search_model_versions(f"name = '{version.name}'")) == 2

    import mlflow.onnx
    from mlflow.models import Model

    place_of = Path(version.source.removeprefix("file://"))
    signature = Model.load(str(place_of)).signature
    assert signature.inputs.inputs[0].shape == (-1, 3, 4, 4) and signature.inputs.inputs[0].name == "pixels"
    assert signature.outputs.inputs[0].name == "embedding"
    assert "onnxruntime==" in (place_of / "requirements.txt").read_text()
    assert (place_of / "extra_files" / "card.md").exists()
    loaded = mlflow.onnx.load_model(str(place_of))
    assert loaded.graph.initializer[0].float_data[0] == pytest.approx(2.0) or np.frombuffer(
        loaded.graph.initializer[0].raw_data, np.float32
    )[0] == pytest.approx(2.0)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["card.md", "m.onnx", "store"]  # no mlflow.db, no mlruns
