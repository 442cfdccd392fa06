"""The verb: what it leaves on the disk, in a bucket and in MLflow, that nothing is computed twice, and wrong input."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import album
import s3_server
from crowd import Crowd
from omokage.assess import kept
from omokage.assess.evaluate_config import EvaluateConfig
from omokage.assess.evaluate_plan import EvaluatePlan
from omokage.assess.evaluation import Evaluation
from omokage.assess.shown import ShownConfig
from omokage.assess.subject import subject
from omokage.cli.evaluating import evaluate as verb
from omokage.config import from_toml, to_toml
from omokage.errors import ConfigError, DatasetError
from omokage.evaluate.bootstrap import BootstrapConfig
from omokage.flows.evaluate import EvaluateReport, EvaluateSettings, evaluate
from omokage.ledger.book import Ledger
from omokage.ledger.decision import Decision
from omokage.ledger.version import freeze
from omokage.store import Dataset
from omokage.tracking import place

CROWD = Crowd(folders=12, faces=5, dim=16, chips=True, seed=4)

JUDGE = EvaluateConfig(bootstrap=BootstrapConfig(replicates=100), fmrs=(0.1, 0.01, 1e-6), fpirs=(0.3,))

HOW = EvaluateSettings(judge=JUDGE, shown=ShownConfig(pairs=2, worst=2, per_person=2), tracking="off")

PLOTS = {"roc", "det", "scores", "precision-recall", "people", "cmc", "dir"}


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """Twelve people, some faces strangers, some shots twice."""
    return CROWD.write(str(tmp_path / "data"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[EvaluateReport, list[EvaluatePlan]]:
    """An evaluation of such people, and the plans that were told; not to be changed."""
    plans: list[EvaluatePlan] = []
    url = CROWD.write(str(tmp_path_factory.mktemp("made") / "data")).folder.url
    return evaluate(url, None, HOW, on_plan=plans.append), plans


def test_an_evaluation_is_a_folder_of_figures_page_plots_and_tables(
    made: tuple[EvaluateReport, list[EvaluatePlan]],
) -> None:
    report, plans = made
    out = Path(report.folder)
    assert report.new and re.fullmatch(r"crowd-0\.35-[0-9a-f]{8}", out.name)
    assert out.parent == Path(report.evaluation.dataset) / "evaluations" and len(plans) == 1
    assert "60 faces of 12 people" in plans[0].text() and plans[0].seconds > 0
    assert set(report.files) == {"report.json", "index.html", "plots", "draws.parquet", "people.parquet"}
    assert {file.stem for file in (out / "plots").glob("*.png")} == PLOTS
    assert {file.stem for file in (out / "plots").glob("*.svg")} == PLOTS
    said = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert said["kind"] == "evaluation" and said["verification"]["genuine"] == 120
    draws = pq.read_table(out / "draws.parquet")
    again = Evaluation.from_plain(said, {name: draws[name].to_numpy() for name in draws.column_names})
    assert again.text() == report.evaluation.text() and again.draws().keys() == report.evaluation.draws().keys()
    people = pq.read_table(out / "people.parquet").to_pylist()
    assert [row["identity"] for row in people] == [CROWD.name(folder) for folder in range(12)]
    assert all(len(row["threshold"]) == len(row["fmr"]) == len(row["tar"]) for row in people)


def test_nothing_is_computed_twice(made: tuple[EvaluateReport, list[EvaluatePlan]]) -> None:
    report, _ = made
    stamps = {file: file.stat().st_mtime_ns for file in Path(report.folder).rglob("*")}
    plans: list[EvaluatePlan] = []
    second = evaluate(report.evaluation.dataset, None, HOW, on_plan=plans.append)
    assert not second.new and plans == [] and second.folder == report.folder
    assert {file: file.stat().st_mtime_ns for file in Path(report.folder).rglob("*")} == stamps
    assert second.text().startswith("Nothing has changed") and json.loads(second.json())["new"] is False
    assert json.loads(second.json())["figures"] == json.loads(report.json())["figures"]


def test_what_was_left_half_written_is_made_anew(
    made: tuple[EvaluateReport, list[EvaluatePlan]], tmp_path: Path
) -> None:
    whole = Path(made[0].folder)
    half = tmp_path / "half"
    shutil.copytree(whole, half)
    (half / "report.json").unlink()
    (half / "draws.parquet").write_bytes(b"half")
    again = evaluate(made[0].evaluation.dataset, str(half), HOW)
    same = {"seconds": 0, "code": 0}
    told, before = (json.loads((place / "report.json").read_bytes()) for place in (half, whole))
    assert again.new and told | same == before | same
    assert (half / "draws.parquet").read_bytes() == (whole / "draws.parquet").read_bytes()
    assert (half / "index.html").read_bytes() == (whole / "index.html").read_bytes()


def test_other_settings_faces_and_lists_are_other_evaluations(data: Dataset, tmp_path: Path) -> None:
    tables = data.faces(["face_id", "identity"])
    ids = sorted((row["identity"], row["face_id"]) for table in tables for row in table.to_pylist())
    pairs = tmp_path / "pairs.csv"
    listed = dataclasses.replace(JUDGE, pairs_file=str(pairs))
    freeze(data, "v1")

    def key(judge: EvaluateConfig = JUDGE, shown: ShownConfig = HOW.shown, version: str = "") -> str:
        return kept.key(subject(data.folder.url + version), judge, shown)

    first = key()
    keys = [first, key(dataclasses.replace(JUDGE, folds=3)), key(shown=ShownConfig()), key(version="@v1")]
    for text in ("a,b,same\nx,y,1\n", "a,b,same\nx,y,0\n"):
        pairs.write_text(text)
        keys.append(key(listed))
    Ledger.of(data.folder).append([Decision(do="drop_face", faces=(ids[0][1],))])
    keys.append(key())
    assert len(set(keys)) == len(keys)
    assert key(version="@v1") == keys[3], "a version is what it was, whatever is decided later"
    place = kept.place(data.folder, subject(f"{data.folder.url}@v1"), first)
    assert place.url == f"{data.folder.url}/evaluations/crowd-0.35-v1-{first[:8]}"


def test_a_place_is_given(data: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "面影 out"
    first = evaluate(data.folder.url, str(out), HOW)
    other = dataclasses.replace(
        HOW, judge=dataclasses.replace(JUDGE, identify=False, pairs_file=_pairs(data, tmp_path))
    )
    second = evaluate(data.folder.url, str(out), other)
    assert first.folder == second.folder == str(out) and second.new and second.evaluation.identification == ()
    assert "people.parquet" not in second.files and "draws.parquet" in second.files
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="other files"):
        evaluate(data.folder.url, str(tmp_path / "mine"), HOW)
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def _pairs(data: Dataset, tmp_path: Path) -> str:
    """Return a list of some pairs."""
    rows = [row for table in data.faces(["face_id", "identity"]) for row in table.to_pylist()][:8]
    lines = [
        f"{a['face_id']},{b['face_id']},{int(a['identity'] == b['identity'])}"
        for n, a in enumerate(rows)
        for b in rows[n + 1 :]
    ]
    (tmp_path / "pairs.csv").write_text("\n".join(["a,b,same", *lines]) + "\n")
    return str(tmp_path / "pairs.csv")


def test_mlflow_has_figures_settings_and_files(data: Dataset, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'runs.db'}"
    report = evaluate(data.folder.url, None, dataclasses.replace(HOW, tracking=uri, experiment="judged"))
    client = place.client(uri)
    (run,) = client.search_runs([client.get_experiment_by_name("judged").experiment_id])
    assert run.info.status == "FINISHED" and run.data.metrics["auc"] == pytest.approx(
        report.evaluation.verification.auc
    )
    assert run.data.metrics["rank_1"] == pytest.approx(report.evaluation.identification[-1].rank_one.value)
    assert run.data.params["encoder.name"] == "crowd-0.35" and run.data.params["bootstrap.replicates"] == "100"
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"report.json", "index.html", "plots"}
    (used,) = run.inputs.dataset_inputs
    assert used.dataset.name == data.folder.url and [tag.value for tag in used.tags] == ["evaluation"]
    assert report.tracked == uri and report.warnings == ()


def test_a_store_that_is_away_stops_nothing(data: Dataset) -> None:
    judge = dataclasses.replace(JUDGE, identify=False)
    shown = ShownConfig(pairs=0, worst=0)
    report = evaluate(
        data.folder.url, None, dataclasses.replace(HOW, judge=judge, shown=shown, tracking="http://127.0.0.1:9")
    )
    assert report.new and len(report.warnings) == 1 and "does not take what is tracked" in report.text()
    with pytest.raises(ConfigError, match="cannot be tracked"):
        evaluate(data.folder.url, None, dataclasses.replace(HOW, tracking="ftp://x"))


def test_a_part_needs_a_training(data: Dataset) -> None:
    with pytest.raises(ConfigError, match="--trained-on"):
        evaluate(data.folder.url, None, dataclasses.replace(HOW, part="test"))
    with pytest.raises(DatasetError, match="holds no training"):
        evaluate(data.folder.url, None, dataclasses.replace(HOW, trained_on=data.folder.url))
    with pytest.raises(ConfigError, match="part must be"):
        EvaluateSettings(part="half")  # type: ignore[arg-type]


def test_who_was_trained_on_is_told_and_can_be_left_out(tmp_path: Path) -> None:
    made = album.crowd(people=6, faces=3).write(str(tmp_path / "data"))
    run = album.trained(tmp_path / "run", made).folder.url
    bare = dataclasses.replace(HOW, shown=ShownConfig(pairs=0, worst=0), trained_on=run)
    told = evaluate(made.folder.url, None, bare)
    assert told.evaluation.warnings[0].startswith("2 people and 6 pictures") and "--part test" in told.text()
    part = evaluate(made.folder.url, None, dataclasses.replace(bare, part="train"))
    assert part.evaluation.people_judged == 2 and part.evaluation.faces == 6 and part.folder != told.folder
    unknown = kept.key(subject(made.folder.url), bare.judge, bare.shown)
    assert unknown[:8] not in (told.folder[-8:], part.folder[-8:])


def test_a_dataset_on_s3_has_its_evaluation_there(server: dict[str, str], address: None) -> None:
    s3_server.client(server).mkdir("judged")
    data = CROWD.write("s3://judged/data")
    report = evaluate("s3://judged/data", None, HOW)
    assert report.folder.startswith("s3://judged/data/evaluations/crowd-0.35-") and report.new
    names = s3_server.client(server).find(report.folder)
    assert {name.rpartition("/")[2] for name in names} >= {"report.json", "index.html", "roc.png", "draws.parquet"}
    assert not evaluate(data.folder.url, None, HOW).new


def test_the_command_prints_one_object_and_the_plan_beside_it(data: Dataset, tmp_path: Path) -> None:
    (tmp_path / "how.toml").write_text(to_toml(HOW))
    assert from_toml(EvaluateSettings, tmp_path / "how.toml") == HOW
    words = [data.folder.url, str(tmp_path / "out"), "--config", str(tmp_path / "how.toml"), "--folds", "4", "--json"]
    ran = subprocess.run(
        [sys.executable, "-m", "omokage", "evaluate", *words], capture_output=True, text=True, check=True
    )
    said = json.loads(ran.stdout)
    assert said["folder"] == str(tmp_path / "out") and said["faces"] == 60 and "Plan: 60 faces" in ran.stderr
    assert said["figures"]["auc"]["low"] <= said["figures"]["auc"]["value"] <= said["figures"]["auc"]["high"]
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["config"]["folds"] == 4 and report["config"]["fmrs"] == [0.1, 0.01, 1e-6]


@pytest.mark.parametrize("odd", ["equal", "rich"])
def test_faces_that_show_little_have_a_page_all_the_same(tmp_path: Path, odd: str) -> None:
    """All vectors the same; and everybody with one face but for one person. There are no chips, either."""
    made = album.crowd(people=6, faces=4 if odd == "equal" else 1)
    if odd == "equal":
        made.faces = [dataclasses.replace(face, vector=[1.0, 0.0]) for face in made.faces]
    else:
        made.faces.append(dataclasses.replace(made.faces[0], uri="again.jpg", file="another"))
    report = evaluate(made.write(str(tmp_path / "data")).folder.url, None, HOW)
    said = json.loads((Path(report.folder) / "report.json").read_text(encoding="utf-8"))
    assert said["verification"]["auc"] == (0.5 if odd == "equal" else 1.0)
    page = (Path(report.folder) / "index.html").read_text(encoding="utf-8")
    assert all(warning.partition(":")[0] in page for warning in said["warnings"]) and len(said["warnings"]) == 2


def test_what_is_wrong_is_said_before_any_work(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is no dataset"):
        evaluate(str(tmp_path / "none"), None, HOW)
    with pytest.raises(DatasetError, match="has no version v9"):
        evaluate(f"{data.folder.url}@v9", None, HOW)
    with pytest.raises(ConfigError, match="no encoder is called"):
        verb([data.folder.url, "--encoder", "sfaec", "--tracking", "off"])
    with pytest.raises(ConfigError, match="fmrs must be rates"):
        verb([data.folder.url, "--fmrs", "2", "--tracking", "off"])
    assert not (Path(data.folder.url) / "evaluations").exists()


def test_no_two_options_have_one_name() -> None:
    def names(kind: type) -> list[str]:
        found = []
        for field in dataclasses.fields(kind):
            inner = field.default_factory
            if isinstance(inner, type) and dataclasses.is_dataclass(inner):
                found += names(inner)
            else:
                found.append(field.name)
        return found

    assert [name for name, times in Counter(names(EvaluateSettings)).items() if times > 1] == []
