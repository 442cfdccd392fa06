import os
import subprocess
import sys
from pathlib import Path

WATCHED = """
import sys
seen = []
def watch(event, arguments):
    if event.startswith("socket.") and event != "socket.__new__":
        seen.append(event)
sys.addaudithook(watch)
import numpy as np
import tiny_encoder
from pathlib import Path
from omokage.vision.runtimes import choose
file = tiny_encoder.write(Path(sys.argv[1]) / "net.onnx")
choice = choose(tiny_encoder.spec(file), threads=2)
assert all(not trial.reason for trial in choice.trials), choice
choice.runtime.close()
print("seen:", seen, "telemetry:", sorted(m for m in sys.modules if m.startswith("openvino_telemetry.")))
"""


def test_no_runtime_reports_to_its_maker(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    # the makers' switches are left as a user's machine has them; CI=true would silence one of them by itself
    unset = ("ORT_DISABLE_TELEMETRY", "CI", "TF_BUILD", "JENKINS_URL", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    environment = {key: value for key, value in os.environ.items() if key not in unset}
    environment["HOME"] = str(home)
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(tmp_path)],
        cwd=Path(__file__).parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,  # OpenVINO could lock up when two threads used it first
    )
    assert done.returncode == 0, done.stderr
    assert "seen: [] telemetry: []" in done.stdout
    assert list(home.rglob("*")) == []  # no identifier left behind
