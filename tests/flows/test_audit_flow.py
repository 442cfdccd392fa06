"""The verb: what it leaves on the disk and in MLflow, that it is found unchanged, and what it says of wrong input."""

import json
import re
from dataclasses import replace
from pathlib import Path

import mlflow
import pyarrow.parquet as pq
import pytest
from PIL import Image

import biased
import s3_server
from omokage.assess.audited import AuditedConfig
from omokage.assess.grouping import GroupConfig
from omokage.cli.auditing import audit as verb
from omokage.errors import ConfigError, DatasetError
from omokage.evaluate.bootstrap import BootstrapConfig
from omokage.flows.audit import AuditFlowConfig, audit
from omokage.ledger.version import freeze
from omokage.storage import Folder

PLOTS = {"rates", "cross_fmr", "spread", "similarity", "heat_map", "axes"}


@pytest.fixture
def data(tmp_path: Path) -> str:
    biased.crowd(people=60, faces=5, near=1.0, chips=False).write(str(tmp_path / "data"))
    return str(tmp_path / "data")


def config(tmp_path: Path, **more) -> AuditFlowConfig:
    groups = biased.groups_csv(tmp_path / "groups.csv", biased.crowd(people=60, faces=5), without=[4])
    compare = AuditedConfig(fmr=1e-2, bootstrap=BootstrapConfig(replicates=100))
    return AuditFlowConfig(**{"grouping": GroupConfig(groups=groups), "compare": compare, "tracking": "off"} | more)


def test_an_audit_is_a_folder_and_is_found_unchanged(data: str, tmp_path: Path) -> None:
    how = config(tmp_path)
    report = audit(data, None, how)
    out = Path(report.folder)
    assert re.fullmatch(r"crowd-0\.35-[0-9a-f]{8}", out.name) and out.parent == Path(data) / "audits"
    plain = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert plain["kind"] == "audit" and plain["groups"]["faces_without_a_group"] == 5 and plain == report.report
    assert plain["rates"]["groups"][1]["fmr"]["low"] > plain["rates"]["groups"][0]["fmr"]["high"]
    assert {file.stem for file in (out / "plots").iterdir()} == PLOTS
    for file in (out / "plots").glob("*.png"):
        assert Image.open(file).width > 300
    table = pq.read_table(out / "groups.parquet").to_pylist()
    name = biased.crowd(people=60, faces=5).name
    assert {row["group"] for row in table if row["identity"] == name(4)} == {None}
    assert all(row["group"] == biased.group(int(row["identity"][:6])) for row in table if row["group"])
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "<b>奇" not in page and "odd &lt;b&gt;奇&lt;/b&gt;" in page and "<script" not in page
    assert name(4) in page and "differ by more than chance" in page and "What these figures show" in page
    stamp = (out / "report.json").stat().st_mtime_ns
    again = audit(data, None, how)
    assert not again.new and again.report == report.report and (out / "report.json").stat().st_mtime_ns == stamp
    assert "Nothing has changed" in again.text() and json.loads(again.json())["new"] is False
    groups = tmp_path / "groups.csv"
    groups.write_text(groups.read_text(encoding="utf-8").replace(biased.group(0), "other"), encoding="utf-8")
    changed = audit(data, report.folder, how)
    assert changed.new and "other" in changed.report["groups"]["names"]


def test_the_verb_tells_mlflow(data: str, tmp_path: Path) -> None:
    groups = biased.groups_csv(tmp_path / "groups.csv", biased.crowd(people=60, faces=5))
    store = f"sqlite:///{tmp_path / 'runs.db'}"
    settings = tmp_path / "audit.toml"
    settings.write_text(f'tracking = "{store}"\n[compare]\nfmr = 0.01\n[compare.bootstrap]\nreplicates = 100\n')
    argv = [data, str(tmp_path / "out"), "--groups", groups, "--config", str(settings), "--fewest-people", "20"]
    told = json.loads(verb([*argv, "--json"]))
    assert told["settings"]["rates"]["fewest_people"] == 20 and told["settings"]["fmr"] == 0.01
    assert told["folder"] == str(tmp_path / "out") and told["kind"] == "audit" and not told["warnings"]
    client = mlflow.MlflowClient(store)
    (run,) = client.search_runs([client.get_experiment_by_name("omokage").experiment_id])
    assert run.data.metrics["group_1_fmr"] == pytest.approx(told["rates"]["groups"][1]["fmr"]["value"])
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"report.json", "index.html", "plots"} <= files and run.info.status == "FINISHED"
    (used,) = run.inputs.dataset_inputs
    assert used.dataset.name == data and [tag.value for tag in used.tags] == ["audit"]


def test_a_version_in_an_object_store_with_its_table_beside_it(
    server: dict[str, str], address: None, tmp_path: Path
) -> None:
    s3_server.client(server).mkdir("audits")
    made = biased.crowd(people=60, faces=5, near=1.0, chips=False)
    freeze(made.write("s3://audits/面影"), "v1")
    biased.groups_csv(tmp_path / "groups.csv", made)
    Folder.at("s3://audits/tables").write("群 1.csv", (tmp_path / "groups.csv").read_bytes())
    how = config(tmp_path, grouping=GroupConfig(groups="csv:s3://audits/tables/群 1.csv"))
    report = audit("s3://audits/面影@v1", None, how)
    assert re.fullmatch(r"s3://audits/面影/audits/crowd-0\.35-v1-[0-9a-f]{8}", report.folder)
    assert report.report["version"] == "v1" and report.report["verdicts"][0]["differ"]
    assert len(Folder.at(report.folder).names("plots")) == 2 * len(PLOTS)
    assert not audit("s3://audits/面影@v1", None, how).new


def test_pictures_without_people_called_as_utkface(tmp_path: Path) -> None:
    url = str(tmp_path / "utk")
    biased.pictures_of_nobody(url, biased.crowd(people=300, faces=1, near=1.0))
    compare = AuditedConfig(threshold=0.3, bootstrap=BootstrapConfig(replicates=100))
    how = config(tmp_path, grouping=GroupConfig(groups="name:utkface", fields=("gender",)), compare=compare)
    with pytest.raises(DatasetError, match="no face of anybody"):
        audit(url, None, how)
    told = audit(url, None, replace(how, one_each=True)).report
    female, male = told["rates"]["groups"]
    assert (male["name"], female["name"], male["people"], male["faces"]) == ("male", "female", 150, 150)
    assert female["fmr"]["low"] > male["fmr"]["high"] and told["verdicts"][0]["differ"]
    assert female["fnmr"] is None and told["verdicts"][1]["differ"] is None
    assert any("every picture is taken as of another person" in remark for remark in told["remarks"])
    with pytest.raises(ConfigError, match="nobody here has two faces"):
        audit(url, None, replace(how, one_each=True, compare=AuditedConfig()))


def test_what_is_wrong_is_said_before_any_work(data: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="say where the groups come from"):
        audit(data, None, AuditFlowConfig())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    with pytest.raises(ConfigError, match=r"holds other files \(mine\.txt"):
        audit(data, str(tmp_path / "full"), config(tmp_path))
    with pytest.raises(DatasetError, match="is no dataset"):
        audit(str(tmp_path / "nothing"), None, config(tmp_path))
    with pytest.raises(DatasetError, match="has no version v9"):
        audit(f"{data}@v9", None, config(tmp_path))
    assert not (Path(data) / "audits").exists()
