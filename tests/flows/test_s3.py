"""Sources and datasets in an S3 that checks signatures, against the same on disk."""

import csv
import io
import os
import re
import signal

import pytest

import s3_server
from conftest import content, finish, run, start, wait_until
from omokage.store import Dataset

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("address")]

BUCKET = "omokage-tests"
SOURCE = f"{BUCKET}/pic tures 面影"


@pytest.fixture(scope="module")
def bucket(server, pictures):
    """A client, with ``pictures`` uploaded, and with the empty keys that some tools leave for folders."""
    files = s3_server.client(server)
    files.mkdir(BUCKET)
    files.pipe({f"{SOURCE}/{p.relative_to(pictures)}": p.read_bytes() for p in pictures.rglob("*.jpg")})
    for marker in ("", "_x/", "nobody/"):
        files.pipe_file(f"{SOURCE}/{marker}", b"")
    return files


def uris(dataset):
    return set(Dataset.open(dataset).manifest()["uri"].to_pylist())


def test_from_s3_to_s3_and_then_only_what_changed(bucket, undisturbed, runtime):
    source, dataset = f"s3://{SOURCE}", f"s3://{BUCKET}/data sets/一"
    ran = run("ingest", source, dataset, "--runtime", runtime, "--json")
    assert ran.status == 0, ran.err
    assert content(dataset) == content(undisturbed)
    assert run("check", dataset).status == 0

    again = run("ingest", source, dataset, "--json")
    assert (again.status, again.report["done"], again.report["removed"]) == (0, 0, 0), again.err

    odd = "new & odd=+%25 🙂/a b#?.jpg"
    jane, other = bucket.cat_file(f"{SOURCE}/Jane/00-0.jpg"), bucket.cat_file(f"{SOURCE}/_x/00-0.jpg")
    bucket.pipe_file(f"{SOURCE}/{odd}", jane)
    bucket.pipe_file(f"{SOURCE}/Jane/01-1.jpg", other)
    bucket.rm_file(f"{SOURCE}/.hidden/02-2.jpg")
    before = uris(dataset)
    ran = run("ingest", source, dataset, "--json")
    assert ran.status == 0, ran.err
    assert [ran.report[key] for key in ("new", "changed", "removed", "done")] == [1, 1, 1, 2]
    assert uris(dataset) == before - {".hidden/02-2.jpg"} | {odd}
    vector = {row[0]: row[2] for row in content(dataset).values()}
    assert vector[odd] == vector["Jane/00-0.jpg"]
    assert vector["Jane/01-1.jpg"] == vector["_x/00-0.jpg"]
    files = set(bucket.find(f"{BUCKET}/data sets/一"))
    named = Dataset.open(dataset).head
    assert len(files) == 2 + 3 * len(named.shards), "files that nothing names were left"


@pytest.mark.long
def test_a_killed_run_into_s3_is_finished_by_the_next(bucket, pictures, undisturbed, runtime):
    dataset = f"s3://{BUCKET}/killed"
    words = ("ingest", pictures, dataset, "--runtime", runtime, "--workers", "1", "--json")
    process = start(*words)
    wait_until(lambda: bool(bucket.glob(f"{BUCKET}/killed/shards/*.json")), process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    ran = finish(start(*words))
    assert ran.status == 0, ran.err
    assert 0 < ran.report["done"] < ran.report["pictures"]
    assert content(dataset) == content(undisturbed)


def test_a_list_in_s3_of_pictures_in_s3_and_beside_it(bucket, undisturbed, runtime, tmp_path):
    names = ["_x/03-0.jpg", "山田 花子/03-1.jpg", "😀 emoji/03-2.jpg", "Jane/never.jpg"]
    for name in names[:2]:
        bucket.copy(f"{SOURCE}/{name}", f"{BUCKET}/lists/{name}")
    listed = {name: name for name in names[:2]} | {f"s3://{SOURCE}/{name}": name for name in names[2:]}
    text = io.StringIO()
    csv.writer(text).writerows([("uri", "identity"), *((uri, f"who {name}") for uri, name in listed.items())])
    bucket.pipe_file(f"{BUCKET}/lists/people.csv", text.getvalue().encode())
    ran = run("ingest", f"s3://{BUCKET}/lists/people.csv", tmp_path / "d", "--runtime", runtime, "--json")
    assert ran.status == 0, ran.err
    assert ran.report["status"] == {"ok": 3, "no_face": 0, "failed": 1}
    assert ran.report["reasons"] == {"unreadable": 1}
    expected = {row[0]: row[2:] for row in content(undisturbed).values()}
    rows = content(tmp_path / "d").values()
    assert {listed[uri]: tuple(rest) for uri, _, *rest in rows} == {name: expected[name] for name in names[:3]}
    assert all(identity == f"who {listed[uri]}" for uri, identity, *_ in rows)


def test_a_wrong_key_is_one_clear_line(bucket, pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    for words in ((f"s3://{SOURCE}", tmp_path / "d"), (pictures, f"s3://{BUCKET}/refused")):
        ran = run("ingest", *words)
        assert ran.status == 1
        why = r"(Forbidden|The request signature .*); check the address and the credentials"
        assert re.fullmatch(rf"omokage ingest: cannot use s3://omokage-tests/.*: {why}\n", ran.err), ran.err
    assert not (tmp_path / "d").exists()


def test_a_server_that_does_not_answer_is_one_clear_line(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    ran = run("info", f"s3://{BUCKET}/d")
    assert ran.status == 1
    assert re.fullmatch(r"omokage info: cannot use s3://omokage-tests/d: Could not connect .*\n", ran.err), ran.err


def test_nothing_there_is_said(bucket, tmp_path):
    ran = run("ingest", f"s3://{BUCKET}/nobody", tmp_path / "d")
    assert ran.status == 1
    assert ran.err.startswith(f"omokage ingest: there is nothing at s3://{BUCKET}/nobody"), ran.err
