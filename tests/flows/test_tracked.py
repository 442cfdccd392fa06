"""What a training tells, where its run is behind a URL."""

import tempfile
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import s3_server
from omokage.flows.tracked import tell, tracker
from omokage.train.run import METRICS, Run, RunHead

HEAD = RunHead(
    dataset="/data",
    version=None,
    version_sha256=None,
    generation=1,
    split_sha256="0" * 64,
    recipe={},
    code={"omokage": "0", "commit": None},
    key="k",
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("address")
def test_tensorboards_figures_of_a_run_behind_a_url_are_brought_there(server, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", None)
    files = s3_server.client(server)
    files.mkdir("tracked")
    run = Run.at("s3://tracked/run 一")

    def told(*epochs: int) -> None:
        with tracker(run, HEAD, "http://127.0.0.1:1", "omokage") as telling:  # a server that is away; it matters not
            for epoch in epochs:
                tell(telling, {"epoch": epoch, "val_auc": epoch / 10})
                points(epoch)  # at each epoch's end, not only at the training's

    def points(last: int) -> None:
        files.get("tracked/run 一/events/", str(tmp_path / f"seen {last}"), recursive=True)
        found = EventAccumulator(str(tmp_path / f"seen {last}"))
        found.Reload()
        seen = [(event.step, round(event.value, 4)) for event in found.Scalars("val_auc")]
        assert seen == [(step, step / 10) for step in range(1, last + 1)]

    told(1, 2)
    run.folder.write(METRICS, b'{"epoch": 1, "val_auc": 0.1}\n{"epoch": 2, "val_auc": 0.2}\n')
    told(3)  # taken up
    assert len(files.ls("tracked/run 一/events")) == 2
    assert list((tmp_path / "temporary").iterdir()) == []
    with tracker(run, HEAD, "off", "omokage") as telling:
        tell(telling, {"epoch": 4, "val_auc": 0.4})
    assert len(files.ls("tracked/run 一/events")) == 2  # off means off
    assert not Path("s3:").exists()
