import pytest
from moto.server import ThreadedMotoServer

from omokage.errors import StorageError
from omokage.storage import Folder


@pytest.fixture(scope="module")
def server():
    """A stand-in for S3 that asks for no keys; tests/flows has one that does."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture(autouse=True)
def address(server, monkeypatch):
    for name, value in {"ENDPOINT_URL": server, "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)


def test_a_bucket_that_is_not_there(server):
    folder = Folder.at("s3://no-such-bucket/x")
    assert (folder.empty(), folder.exists("a"), folder.names("b"), folder.kind()) == (True, False, [], None)
    with pytest.raises(FileNotFoundError):
        folder.read("a")
    with pytest.raises(StorageError, match="cannot write to s3://no-such-bucket/x: there is no such bucket"):
        folder.write("a", b"1")
    with pytest.raises(StorageError, match="cannot write to s3://no-such-bucket/x: there is no such bucket"):
        folder.update("a", lambda old: b"1")


def test_what_is_written_is_there_at_once_under_any_name(server):
    name = "shards/a b+%25#?&=🙂.x"
    folder = Folder.at("s3://some-bucket/面 影/x")
    folder.files.mkdir("some-bucket")
    assert folder.empty()
    folder.write(name, b"old")
    folder.write(name, b"new")
    assert folder.read(name) == b"new"
    assert not folder.empty()
    assert (folder.names(""), folder.names("shards")) == ([], [name.removeprefix("shards/")])
    assert [info["size"] for info in folder.tree().values()] == [3]
    assert (folder.kind(), Folder.at(f"{folder.url}/{name}").kind()) == ("directory", "file")
    folder.remove(name)
    folder.remove(name)
    assert folder.empty()
