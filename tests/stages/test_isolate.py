import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hard_stages import HardConfig

from omokage import schema
from omokage.errors import ConfigError, OmokageError
from omokage.stages import isolate
from omokage.stages.isolate import IsolateConfig, Isolated

HERE = Path(__file__).parent
PATHS = os.pathsep.join([str(HERE), str(HERE.parents[1] / "platform")])


@pytest.fixture(autouse=True)
def _children_find_the_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", PATHS)


@pytest.fixture
def isolated() -> Iterator[Callable[..., Isolated]]:
    made: list[Isolated] = []

    def make(stage: str, config: HardConfig, **settings: object) -> Isolated:
        made.append(Isolated(IsolateConfig(stage=f"hard_stages:{stage}", config=config, **settings)))
        return made[-1]

    yield make
    for each in made:
        each.close()


def batch(*uris: str, reasons: tuple[str | None, ...] | None = None) -> pa.Table:
    rows = [
        {"uri": uri, "identity": "a", "size": 1, "stamp": "1", "reason": reason}
        for uri, reason in zip(uris, reasons or [None] * len(uris), strict=True)
    ]
    return pa.Table.from_pylist(rows, schema.LISTED)


def gone(pid: int, seconds: float) -> bool:
    """Return whether the process ends within so many seconds; a zombie has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_one_process_serves_all_batches_and_native_chatter_does_no_harm(tmp_path, isolated):
    stage = isolated("Hard", HardConfig(log=str(tmp_path / "log")))
    first, second, empty = stage(batch("a", "print")), stage(batch("b")), stage(batch())
    assert first["uri"].to_pylist() == ["a", "print"]
    assert empty.num_rows == 0
    assert empty.column_names == [*schema.LISTED.names, "pid"]
    assert {*first["pid"].to_pylist(), *second["pid"].to_pylist()} == {stage.child.pid}
    assert stage.child.pid != os.getpid()


def test_what_kills_the_process_twice_alone_is_crashed_and_the_rest_survives(tmp_path, isolated):
    log = tmp_path / "log"
    stage = isolated("Hard", HardConfig(log=str(log)), seconds=1.5)
    uris = ["a", "segv", "b", "exit", "c", "hang", "d", "not there"]
    reasons = (*[None] * 7, "unreadable")
    began = time.monotonic()
    done = stage(batch(*uris, reasons=reasons))
    assert time.monotonic() - began > 2 * 1.5  # both tries of the hanging one had their time
    assert done["uri"].to_pylist() == uris
    expected = [None, "crashed", None, "crashed", None, "crashed", None, "unreadable"]
    assert done["reason"].to_pylist() == expected
    assert done.drop_columns(["reason", "pid"]).equals(batch(*uris).drop_columns(["reason"]))
    # all together once, up to the first crash, then each one alone: once, or twice if it crashes
    assert Counter(log.read_text().split("\n")[:-1]) == {
        "a": 2,
        "segv": 3,
        "b": 1,
        "exit": 2,
        "c": 1,
        "hang": 2,
        "d": 1,
    }
    assert stage(batch("e"))["reason"].to_pylist() == [None]


def test_a_process_killed_between_two_batches_is_replaced(tmp_path, isolated):
    stage = isolated("Hard", HardConfig(log=str(tmp_path / "log")))
    before = stage.child.pid
    os.kill(before, signal.SIGKILL)
    assert gone(before, 10)
    after = stage(batch("a", "b"))
    assert after["reason"].to_pylist() == [None, None]
    assert before not in after["pid"].to_pylist()


def test_a_process_killed_while_it_starts_is_started_again_but_not_for_ever(tmp_path, isolated):
    once, always = tmp_path / "once", tmp_path / "always"
    assert isolated("KilledYoung", HardConfig(log=str(once), kills=1))(batch("a"))["uri"].to_pylist() == ["a"]
    assert once.read_text().split() == ["start"] * 2
    with pytest.raises(OmokageError, match="did not start"):
        isolated("KilledYoung", HardConfig(log=str(always), kills=99))
    assert always.read_text().split() == ["start"] * isolate.STARTS


def test_ctrl_c_is_left_to_the_parent(tmp_path, isolated):
    stage = isolated("Hard", HardConfig(log=str(tmp_path / "log")))
    os.kill(stage.child.pid, signal.SIGINT)
    assert stage(batch("a"))["pid"].to_pylist() == [stage.child.pid]


@pytest.fixture
def answering() -> Iterator[int]:
    """A port of this machine where everybody who connects hears "hello"."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    there, _ = server.accept()
                except OSError:
                    return
                with there:
                    there.sendall(b"hello")

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_the_network_is_gone_in_the_child(answering, isolated):
    free = isolated("Caller", HardConfig(port=answering), block_network=False)
    assert not free.network_blocked
    assert free(batch("a"))["answer"].to_pylist() == ["hello"]  # or this test would prove nothing
    if not isolate.can_block_network():
        pytest.skip("this kernel lets no process give up its network")
    cut_off = isolated("Caller", HardConfig(port=answering))
    assert cut_off.network_blocked
    assert cut_off(batch("a"))["answer"].to_pylist() == ["OSError"]  # network is unreachable: there is no loopback
    with socket.create_connection(("127.0.0.1", answering), timeout=5) as still_ours:
        assert still_ours.recv(5) == b"hello"


def test_who_is_not_root_can_give_up_the_network_too():
    """Numpy's and pyarrow's threads would make the kernel refuse it, so the child must ask before it imports them."""
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    if subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "unshare", "-Un", "true"]).returncode:
        pytest.skip("this kernel gives no user namespaces to others than root")
    code = (
        "import os, sys; from omokage.stages import child; os.setresuid(65534, 65534, 65534)\n"
        "assert not {'numpy', 'pyarrow'} & set(sys.modules)\n"
        "before = os.stat('/proc/thread-self/ns/net').st_ino\n"
        "assert child.block_network()\n"
        "assert os.stat('/proc/thread-self/ns/net').st_ino != before\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_error_at_the_start_arrives_in_its_own_words(isolated):
    with pytest.raises(OmokageError, match=re.escape("min_side must be at least 1 (面影)")):
        isolated("Hard", HardConfig(refuse="min_side must be at least 1 (面影)"))


def test_a_mistake_at_the_start_is_an_error_too_and_no_crashed_picture(isolated, capfd):
    with pytest.raises(OmokageError, match="hard_stages:Broken did not start"):
        isolated("Broken", HardConfig())
    assert "RuntimeError: a mistake" in capfd.readouterr().err


def test_no_time_is_no_setting():
    with pytest.raises(ConfigError, match="seconds"):
        IsolateConfig(stage="hard_stages:Hard", config=HardConfig(), seconds=0)


@pytest.mark.parametrize("uri", ["idle", "hang"])
def test_the_child_ends_with_its_parent(tmp_path, uri):
    code = f"""
import sys, pyarrow as pa
from hard_stages import HardConfig
from test_isolate import batch
from omokage.stages.isolate import Isolated, IsolateConfig
stage = Isolated(IsolateConfig(stage="hard_stages:Hard", config=HardConfig(log={str(tmp_path / "log")!r}), seconds=2))
print(stage.child.pid, flush=True)
if {uri!r} == "hang":
    stage._ask(batch("hang"))
sys.stdin.read()
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with parent:
        child = int(parent.stdout.readline())
        if uri == "hang":
            deadline = time.monotonic() + 20
            while not (tmp_path / "log").exists() and time.monotonic() < deadline:
                time.sleep(0.02)
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        assert gone(child, 15)
