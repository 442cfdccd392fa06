"""Trainings by the command: what is wrong is said before Ray starts; two workers; a bucket; the second call."""

import dataclasses
import json
from pathlib import Path

import pytest

from conftest import run as omokage
from omokage import config as settings
from omokage.errors import ConfigError, DatasetError, OmokageError
from omokage.flows.cluster import ClusterConfig
from omokage.flows.placing import Node, Placing, check_machine, placing
from omokage.flows.train import TrainConfig, plan, train
from omokage.flows.tune import tune
from omokage.flows.tune_config import TuneConfig
from omokage.ledger import version
from omokage.store import Dataset
from omokage.train import run as runs
from omokage.train.batches import BatchConfig
from omokage.train.losses import LossConfig
from omokage.train.model import ModelConfig
from omokage.train.recipe import LoopConfig
from omokage.train.run import Run
from omokage.train.split import SplitConfig, counts
from training import OPTIONS, crowd_of, curve_of

TINY = TrainConfig(
    model=ModelConfig(backbone="test_resnet", from_scratch=True, dim=16, input_size=32),
    loss=LossConfig(loss="cosface", scale=16.0),
    batches=BatchConfig(people=4, pictures=4),
    split=SplitConfig(val_share=0.3, test_share=0.1),
    tracking="off",
)


PARTS = [each.name for each in dataclasses.fields(TrainConfig)]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return crowd_of(tmp_path_factory.mktemp("crowd"), people=16)


def planned(data, tmp_path, **parts):
    return plan(str(data), Run.at(str(tmp_path / "run")), dataclasses.replace(TINY, **parts))


def test_more_gpus_than_the_machine_has_are_refused_before_anything_begins(data, tmp_path):
    with pytest.raises(ConfigError, match="gpus is 99, and this machine has"):
        train(str(data), str(tmp_path / "run"), dataclasses.replace(TINY, cluster=ClusterConfig(gpus=99)))
    assert not (tmp_path / "run").exists()


def test_numbers_that_no_worker_could_compute_in_are_refused_before_anything_begins(data, tmp_path):
    config = dataclasses.replace(TINY, loop=LoopConfig(precision="fp16"), cluster=ClusterConfig(gpus=0))
    with pytest.raises(ConfigError, match="fp16 is for GPUs"):
        train(str(data), str(tmp_path / "run"), config)
    with pytest.raises(ConfigError, match="fp16 is for GPUs"):
        tune(str(data), str(tmp_path / "run"), TuneConfig(**{name: getattr(config, name) for name in PARTS}))
    assert not (tmp_path / "run").exists()
    check_machine(ClusterConfig(address="auto"), config.loop)  # of a cluster that is not connected, nothing is known


@pytest.mark.parametrize(
    ("there", "asked", "found"),
    [
        ([Node(2)], {}, Placing(1, 2, False)),
        ([Node(2)], {"workers": 2}, Placing(2, 1, False)),
        ([Node(8), Node(8), Node(8)], {}, Placing(3, 8, False)),
        ([Node(8), Node(2)], {"workers": 2}, Placing(2, 4, False)),
        ([Node(8), Node(2)], {"workers": 5}, Placing(5, 2, False)),
        ([Node(16, 2)], {}, Placing(2, 8, True)),
        ([Node(16, 2), Node(4, 4)], {}, Placing(6, 1, True)),
        ([Node(16, 2)], {"gpus": 0}, Placing(1, 16, False)),
        ([Node(16, 2)], {"gpus": 1, "cpus": 4}, Placing(1, 4, True)),
        ([Node(64), Node(0)], {"workers": 2, "cpus": 6}, Placing(2, 3, False)),
    ],
)
def test_workers_are_placed_so_that_none_waits(there, asked, found):
    assert placing(there, **asked) == found


@pytest.mark.parametrize(
    ("there", "asked", "said"),
    [
        ([Node(2)], {"workers": 3}, r"3 workers want a CPU each, and there are 2: lower --workers"),
        ([Node(16, 2)], {"workers": 3}, "3 workers want a GPU each, and there are 2"),
        ([Node(0.5)], {}, "want a CPU each"),
        ([Node(8)], {"workers": 3, "cpus": 2}, "3 workers want a CPU each, and there are 2"),
    ],
)
def test_workers_that_a_cluster_cannot_hold_are_refused(there, asked, said):
    with pytest.raises(ConfigError, match=said):
        placing(there, **asked)


def test_the_plan_keeps_all_that_decides_the_result(data, tmp_path):
    found = planned(data, tmp_path)
    people, faces = counts(found.table)
    assert people == {"train": 9, "val": 5, "test": 2}
    assert faces == {part: 8 * number for part, number in people.items()}
    run = Run.at(str(tmp_path / "run"))
    head = run.head()
    assert head.dataset == str(data) and head.code["omokage"] and len(head.key) == 32
    assert settings.from_toml(TrainConfig, tmp_path / "run" / "config.toml") == TINY
    again = planned(data, tmp_path)
    assert again.head == head and again.table.equals(found.table)


def test_a_dataset_is_the_same_by_any_way_of_writing_its_place(data, tmp_path, monkeypatch):
    found = planned(data, tmp_path).head
    (tmp_path / "run" / runs.METRICS).write_text("{}")  # it has learned: other settings would be refused
    monkeypatch.chdir(data.parent)
    for place in (data.name, f"{data}/", f"./{data.name}//", f"../{data.parent.name}/{data.name}"):
        assert planned(place, tmp_path).head == found


def test_a_version_is_trained_on_as_it_was_frozen(data, tmp_path):
    kept = version.freeze(Dataset.open(str(data)), "v1", "me")
    found = plan(f"{data}@v1", Run.at(str(tmp_path / "run")), TINY)
    (tmp_path / "run" / runs.METRICS).write_text("{}")
    assert (found.head.version, found.head.version_sha256) == ("v1", kept.sha256)
    with pytest.raises(ConfigError, match='version is "v1" there and not given here'):
        planned(data, tmp_path)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"batches": BatchConfig(people=15, pictures=4)}, "--people"),
        ({"batches": BatchConfig(people=4, pictures=9)}, "--pictures 8 or less"),
        ({"loop": LoopConfig(best="tar_at_fmr_1e-6")}, "cannot show tar_at_fmr_1e-6"),
        ({"tracking": "nonsense"}, "cannot be tracked"),
    ],
)
def test_settings_that_do_not_go_with_the_data_are_refused_before_anything_is_written(data, tmp_path, parts, said):
    with pytest.raises(ConfigError, match=said):
        planned(data, tmp_path, **parts)
    assert not (tmp_path / "run" / "run.json").exists()


def test_one_person_is_nobody_to_learn_from(tmp_path):
    alone = crowd_of(tmp_path / "alone", people=1)
    with pytest.raises(OmokageError, match=r"people|person"):
        planned(alone, tmp_path, split=SplitConfig(val_share=0.0, test_share=0.0))


def test_weights_that_are_not_to_be_had_are_said_before_anything_is_written(data, tmp_path):
    missing = ModelConfig(backbone="test_resnet", weights=str(tmp_path / "none.safetensors"))
    with pytest.raises(OmokageError, match=r"none\.safetensors"):
        planned(data, tmp_path, model=missing)
    assert not (tmp_path / "run" / "run.json").exists()


def test_the_best_is_not_looked_for_where_nobody_is_left_to_judge_on(data, tmp_path):
    found = planned(data, tmp_path, split=SplitConfig(val_share=0.0, test_share=0.0))
    assert any("no best model is chosen" in note for note in found.head.notes)


def test_a_run_elsewhere_than_in_its_own_folder_is_refused(data, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    with pytest.raises(DatasetError, match="other files"):
        planned(data, tmp_path)


def test_settings_of_the_flow_are_checked():
    for wrong in ({"workers": 0}, {"max_failures": -2}):
        with pytest.raises(ConfigError):
            TrainConfig(**wrong)


@pytest.mark.ray
def test_two_workers_train_and_the_second_call_says_that_it_ended(data, tmp_path):
    words = ("train", data, tmp_path / "run", *OPTIONS, "--epochs", "2", "--workers", "2", "--json")
    ran = omokage(*words)
    assert ran.status == 0, ran.err
    report = ran.report
    assert report["workers"] == 2 and report["epochs"] == 2 and report["device"] == "2 x 1 CPU"
    assert report["best"]["epoch"] in (1, 2) and Path(report["model"]).exists()
    assert len(curve_of(tmp_path / "run")) == 2 and report["warnings"] is not None
    assert {"model.onnx", "model.toml"} <= {file.name for file in (tmp_path / "run" / "model").glob("*")} or report[
        "warnings"
    ]
    again = omokage(*words)
    assert again.status == 0 and "this training had ended already" in again.report["warnings"]
    assert again.report["best"] == report["best"]
    other = omokage(*words, "--seed", "5")
    assert other.status == 1 and "loop.seed is 0 there and 5 here" in json.loads(other.out)["error"]


@pytest.mark.ray
@pytest.mark.long
def test_a_training_that_led_nowhere_is_begun_anew_in_the_same_run(data, tmp_path):
    words = ("train", data, tmp_path / "run", *OPTIONS, "--epochs", "1", "--json")
    ran = omokage(*words, "--lr", "1e30", "--warmup-epochs", "0")
    assert ran.status == 1 and "not a number" in json.loads(ran.out)["error"]
    ran = omokage(*words)
    assert ran.status == 0, ran.err
    assert ran.report["starts"] == 1 and ran.report["epochs"] == 1
    assert Run.at(str(tmp_path / "run")).head().recipe["optim"]["lr"] is None
