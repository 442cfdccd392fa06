"""The review's server, by real requests: who may ask, what a hostile request gets, what is written."""

import json
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pages
import pyarrow as pa
import pytest

from found import write_findings
from omokage.curate import proposals
from omokage.errors import DatasetError
from omokage.ledger.book import Ledger
from omokage.ledger.decision import Decision
from omokage.ledger.fold import fold
from omokage.review import items
from omokage.review.session import Session
from omokage.store import Dataset


@pytest.fixture
def data(tmp_path):
    return pages.dataset(tmp_path / "data")


@pytest.fixture
def page(data):
    with pages.reviewed(data.folder.url) as reviewer:
        yield reviewer


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    data = pages.dataset(tmp_path_factory.mktemp("review") / "data")
    with pages.reviewed(data.folder.url) as reviewer:
        yield reviewer


PATHS = ["/", "/app.js", "/api/start", "/api/item/0", "/chips?n=0", "/api/queue"]


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_answered_without_the_key(shared, path):
    status, content, headers = shared.ask("GET", path, headers={})
    assert (status, b"omokage review printed" in content) == (403, True)
    assert "set-cookie" not in headers
    wrong = {"Cookie": f"omokage-{shared.netloc.rpartition(':')[2]}=x"}
    assert shared.ask("GET", path, headers=wrong)[0] == 403
    assert shared.ask("GET", f"{path}{'&' if '?' in path else '?'}token=%C3%A9", headers={})[0] == 403
    assert shared.ask("GET", path)[0] == 200


def test_the_key_in_the_address_gives_a_cookie_that_no_script_and_no_other_site_has(shared):
    status, content, headers = shared.ask("GET", "/?" + shared.url.partition("?")[2], headers={})
    assert status == 200 and b"<!doctype html>" in content
    cookie = headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    ours = cookie.split(";")[0]
    assert shared.ask("GET", "/api/start", headers={"Cookie": ours})[0] == 200
    among = f'other={{"a": "b;c"}}; x; =y; {ours}; z="'  # cookies of other pages of this machine
    assert shared.ask("GET", "/api/start", headers={"Cookie": among})[0] == 200


def test_only_an_address_that_nobody_else_can_own_is_answered(shared):
    port = shared.netloc.rpartition(":")[2]
    for host in (
        f"evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        f"127.0.0.1.evil.example:{port}",
        "",
    ):
        assert shared.ask("GET", "/api/start", headers=shared.cookie | {"Host": host})[0] == 403, host
    for host in (f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}"):
        assert shared.ask("GET", "/api/start", headers=shared.cookie | {"Host": host})[0] == 200, host


def test_only_our_own_page_may_write(page, data):
    body = json.dumps({"n": 0, "action": "different", "seen": 0}).encode()
    json_type = {"Content-Type": "application/json"}
    refused = [{}, {"Origin": "null"}, {"Origin": "http://evil.example"}, {"Origin": f"https://{page.netloc}"}]
    for origin in refused:
        assert page.ask("POST", "/api/decide", body, page.cookie | json_type | origin)[0] == 403, origin
    ours = page.cookie | {"Origin": f"http://{page.netloc}"}
    assert page.ask("POST", "/api/decide", body, ours | {"Content-Type": "text/plain"})[0] == 400
    assert page.ask("GET", "/api/start", headers=page.cookie | {"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert page.ask("GET", "/api/decide")[0] == 405
    assert pages.lines(data) == []


def test_every_answer_forbids_what_a_page_of_faces_should_not_do(shared):
    for path in (*PATHS, "/nothing", "/api/item/99999999"):
        _, _, headers = shared.ask("GET", path)
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
        assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        "/api/item/-1",
        "/api/item/1e3",
        "/api/item/99999",
        "/api/item/%D9%A3",
        "/api/item/" + "9" * 400,
        "/api/item/",
        "/api/item/..%2f..%2fetc%2fpasswd",
        "/api/person/99999",
        "/api/person/x",
        "/api/near/99999",
        "/api/face/48",
        "/api/where/people:0000",
        "/api/where/%ff%00",
        "/api/since/x/1",
        "/api/ledger/x",
        "/api/titles?n=",
        "/api/titles?n=1,,2",
        "/api/titles?n=" + ",".join(["1"] * 600),
        "/chips?n=48",
        "/chips?n=-1",
        "/chips?n=../../dataset.json",
        "/chips",
        "/../dataset.json",
        "/..%2fdataset.json",
        "/page/app.js",
        "/dataset.json",
        "/api/since/99999999/0",
    ],
)
def test_what_is_not_there_is_not_found(shared, path):
    status, content, _ = shared.ask("GET", path)
    if path.startswith("/api/since/9"):
        assert (status, json.loads(content)["changed"]) == (200, [])
    else:
        assert status == 404, content


@pytest.mark.parametrize(
    "said",
    [
        {},
        [],
        5,
        None,
        {"n": 0},
        {"n": "0", "action": "same"},
        {"n": True, "action": "different", "seen": 0},
        {"n": -1, "action": "drop"},
        {"n": 10**9, "action": "same"},
        {"n": 0, "action": "delete everything"},
        {"n": 0, "action": "same", "stays": 7},
        {"n": 0, "action": "same", "stays": "0"},
        {"n": 0, "action": "move", "picked": []},
        {"n": 0, "action": "move", "picked": ["../x"]},
        {"n": 0, "action": "drop", "picked": [47]},
        {"person": 0, "action": "move", "picked": [0], "into": "../../etc"},
        {"person": 0, "action": "move", "picked": [0], "into": ".."},
        {"person": 0, "action": "move", "picked": [0], "into": "a\nb"},
        {"person": 0, "action": "move", "picked": [0], "into": "x" * 300},
        {"person": 0, "action": "move", "picked": [0], "into": 10**9},
        {"person": 0, "action": "same", "into": 0},
        {"person": 0, "action": "drop", "picked": {"0": 1}},
    ],
)
def test_a_request_that_is_no_decision_writes_nothing(shared, said):
    status, answer = shared.write("/api/decide", said)
    assert status == 400 and answer["error"], answer
    assert shared.read("/api/start")["line"] == 0


@pytest.mark.parametrize("wrong", [[{}], [[1]], [1.0], [True], [None], [""], {"0": 1}, "abc", [], None])
def test_no_kind_of_finding_takes_what_is_no_list_of_faces_or_names(shared, wrong):
    for n in range(shared.read("/api/start")["findings"]):
        kind = shared.read(f"/api/item/{n}")["kind"]
        said = {"n": n, "seen": 0, "action": {"outlier": "move", "mixed": "different"}.get(kind, "drop")}
        into = wrong if isinstance(wrong, list) else None  # words would be somebody's name
        status, answer = shared.write("/api/decide", said | {"picked": wrong, "names": wrong, "into": into})
        assert status == 400 and answer["error"], (kind, answer)
    assert shared.read("/api/start")["line"] == 0


def test_a_body_is_limited_also_when_it_does_not_say_how_long_it_is(shared):
    ours = shared.cookie | {"Origin": f"http://{shared.netloc}", "Content-Type": "application/json"}
    assert shared.ask("POST", "/api/decide", b"[" * (2 << 20), ours)[0] == 413
    assert shared.ask("POST", "/api/decide", iter([b"[" * 65536] * 40), ours)[0] == 413
    assert shared.ask("POST", "/api/decide", b"[" * 100_000, ours)[0] == 400


def test_faces_are_those_of_the_dataset(shared):
    session = Session(Dataset.open(shared.read("/api/start")["dataset"]), "x")
    status, content, _ = shared.ask("GET", "/chips?n=3,47,3,0")
    lengths = np.frombuffer(content, "<u4", 4)
    ends = 16 + np.cumsum(lengths)
    got = [content[end - size : end] for end, size in zip(ends, lengths, strict=True)]
    table = pa.concat_tables(session.faces.data.faces(["chip", "face_id"]))
    assert status == 200 and got == [table["chip"][row].as_py() for row in (3, 47, 3, 0)]
    assert all(chip.startswith(b"\xff\xd8") for chip in got)


def test_every_kind_of_finding_is_shown_with_its_evidence(shared):
    start = shared.read("/api/start")
    shown = [shared.read(f"/api/item/{n}") for n in range(start["findings"])]
    assert [sum(item["kind"] == kind for item in shown) for kind in start["kinds"]] == [4, 1, 8, 4, 4]
    assert start["stale"] == 0
    people = shown[0]
    assert (people["kind"], people["verdict"], people["proposal"], people["matching"] if 0 else None) == (
        "people",
        "same_person",
        "same",
        None,
    )
    assert [face["near"] for face in people["a"]["faces"]] == [0.9, 0.8, 0.7, None, None, None]
    assert [pair[2] for pair in people["joined"]] == [0.9, 0.8, 0.7]
    assert {person["name"] for person in people["group"]} >= {people["a"]["name"], people["b"]["name"]}
    assert len(people["group"]) == 4
    stray = next(item for item in shown if item.get("verdict") == "stray_face")
    assert stray["pick"] == [stray["b"]["faces"][0]["row"]] and stray["proposal"] == "move"
    cluster = next(item for item in shown if item["kind"] == "same_face")
    assert [face["kind"] for face in cluster["faces"]] == ["best", "same_shot", "other_shot"]
    assert cluster["pick"] == [cluster["faces"][1]["row"]]
    mixed = next(item for item in shown if item["kind"] == "mixed")
    assert [part["count"] for part in mixed["parts"]] == [3, 3]
    assert mixed["parts"][1]["name"] == f"{mixed['a']['name']} (2)"
    ids = [item["id"] for item in shown]
    assert [shared.read(f"/api/where/{each}")["n"] for each in ids] == list(range(len(ids)))


def test_of_a_big_cluster_some_are_shown_and_all_are_judged(page, data, monkeypatch):
    monkeypatch.setattr(items, "SHOTS", 1)
    cluster = page.first("same_face")
    assert (cluster["count"], [face["kind"] for face in cluster["faces"]], len(cluster["pick"])) == (3, ["best"], 1)
    assert page.decide(cluster["n"], "keep")[0] == 200
    assert len(pages.lines(data)[0]["faces"]) == 3


def test_hostile_names_stay_what_they_are(shared):
    names = [person["name"] for person in shared.read("/api/people?q=%3Cscript")]
    assert names == [pages.HOSTILE]
    assert shared.ask("GET", "/api/people?q=%3Cscript")[2]["content-type"] == "application/json"


def test_a_person_is_found_however_they_are_written(shared):
    assert len(shared.read("/api/people?q=%EF%BC%90%EF%BC%90%EF%BC%90%EF%BC%90%EF%BC%90%EF%BC%91")) == 1  # wide digits
    numbers = np.frombuffer(shared.ask("GET", "/api/with?q=000001")[1], "<u4")
    kinds = {shared.read(f"/api/item/{n}")["kind"] for n in numbers.tolist()}
    assert kinds == {"people", "outlier", "alike"}


def test_each_decision_is_a_line_that_names_its_finding(page, data):
    people, stray, mixed = page.first("people"), page.read("/api/item/4"), page.first("mixed")
    cluster, outlier = page.first("same_face"), page.first("outlier")
    a, b = people["a"], people["b"]
    assert page.decide(people["n"], "same", stays=b["code"])[0] == 200
    stray = next(
        item for item in map(page.read, (f"/api/item/{n}" for n in range(21))) if item.get("verdict") == "stray_face"
    )
    assert page.decide(stray["n"], "move", picked=stray["pick"])[0] == 200
    assert page.decide(mixed["n"], "different", names=["neu ☃"])[0] == 200
    assert page.decide(cluster["n"], "drop", picked=cluster["pick"])[0] == 200
    assert page.decide(outlier["n"], "move", into=outlier["b"]["code"])[0] == 200
    ids = data.faces(["face_id"])
    ids = pa.concat_tables(ids)["face_id"].to_pylist()
    written = pages.lines(data)
    assert [line["do"] for line in written] == ["merge", "relabel", "split", "drop_duplicate", "relabel"]
    assert [line["who"] for line in written] == ["anna"] * 5
    assert [line["finding"] for line in written] == [
        proposals.of_people(a["name"], b["name"]),
        proposals.of_people(stray["a"]["name"], stray["b"]["name"]),
        proposals.of_mixed(mixed["a"]["name"]),
        proposals.of_cluster([ids[face["row"]] for face in cluster["faces"]]),
        proposals.of_outlier(ids[outlier["face"]["row"]]),
    ]
    assert (written[0]["person"], written[0]["into"]) == (a["name"], b["name"])
    assert (written[1]["faces"], written[1]["into"]) == ([ids[stray["pick"][0]]], stray["a"]["name"])
    assert (len(written[2]["faces"]), written[2]["into"]) == (3, "neu ☃")
    assert (written[3]["faces"], written[3]["into"]) == ([ids[cluster["pick"][0]]], ids[cluster["faces"][0]["row"]])
    merged = page.read(f"/api/person/{a['code']}")
    assert merged["goes_by"]["name"] == b["name"] and merged["rows"] == []
    new = page.read("/api/people?q=neu")[0]
    assert len(page.read(f"/api/person/{new['code']}")["rows"]) == 3
    assert page.read(f"/api/item/{cluster['n']}")["faces"][1]["status"] == "duplicate"


def test_undo_takes_back_ones_own_last_decision_and_all_that_it_wrote(page, data):
    mixed, cluster = page.first("mixed"), page.first("same_face")
    page.decide(cluster["n"], "keep")
    page.decide(mixed["n"], "different", names=["second"])
    Ledger.of(data.folder).append([Decision(do="different", person="x", into="y")], "ben")
    status, answer = page.write("/api/undo", {})
    assert (status, answer["n"], answer["state"], answer["undone"]["do"]) == (200, mixed["n"], 0, "split")
    status, answer = page.write("/api/undo", {})
    assert (status, answer["n"], answer["undone"]["do"]) == (200, cluster["n"], "keep")
    assert page.write("/api/undo", {})[0] == 409
    again = page.write("/api/undo", {"line": 5})[1]  # an undo undone is a redo
    assert again["undone"]["do"] == "undo"
    assert page.read(f"/api/item/{cluster['n']}")["decided"]["number"] == 1
    assert page.write("/api/undo", {"line": 99})[0] == 400
    assert [line["undoes"] for line in pages.lines(data)] == [None, None, None, 2, 1, 5]


def test_who_comes_second_is_told_and_writes_nothing(data):
    with pages.reviewed(data.folder.url) as anna, pages.reviewed(data.folder.url, "ben") as ben:
        outlier = anna.first("outlier")
        cursor = ben.read("/api/start")
        said = {"n": outlier["n"], "seen": 0}
        assert anna.write("/api/decide", said | {"action": "drop"})[0] == 200
        status, answer = ben.write("/api/decide", said | {"action": "keep"})
        assert (status, answer["taken"]["who"], answer["taken"]["do"], answer["seen"]) == (409, "anna", "drop_face", 1)
        assert len(pages.lines(data)) == 1
        news = ben.read(f"/api/since/{cursor['version']}/{cursor['line']}")
        assert [outlier["n"], 1, 1] in news["changed"] and [line["who"] for line in news["lines"]] == ["anna"]
        assert ben.write("/api/decide", said | {"action": "keep", "seen": 1})[0] == 200  # knowing it, one may
        assert ben.read(f"/api/item/{outlier['n']}")["decided"]["who"] == "ben"
        assert anna.write("/api/undo", {"line": 2})[0] == 200  # the older decision holds again
        assert anna.read(f"/api/item/{outlier['n']}")["decided"]["who"] == "anna"


def test_two_who_write_at_once_lose_nothing_and_double_nothing(data):
    with pages.reviewed(data.folder.url) as anna, pages.reviewed(data.folder.url, "ben") as ben:
        numbers = [n for n in range(21) if anna.read(f"/api/item/{n}")["kind"] == "outlier"]
        answers = []

        def judge(page, order):
            for n in order:
                status, answer = page.write("/api/decide", {"n": n, "action": "drop", "seen": 0})
                answers.append((status, bool(answer.get("raced"))))

        pair = [threading.Thread(target=judge, args=(page, order)) for page, order in ((anna, numbers), (ben, numbers))]
        for each in pair:
            each.start()
        for each in pair:
            each.join()
        written = pages.lines(data)
        assert [line["number"] for line in written] == list(range(1, len(written) + 1))
        told = sum(status == 409 or raced for status, raced in answers)
        assert len({line["finding"] for line in written}) == len(numbers)
        assert told == len(answers) - len(numbers)  # whoever was second knows
        for n in numbers:
            assert anna.read(f"/api/item/{n}")["state"] == 1


def test_what_follows_from_other_decisions_is_settled(page, data):
    every = [page.read(f"/api/item/{n}") for n in range(21)]
    people = [item for item in every if item["kind"] == "people"]
    a, b = people[0]["a"], people[0]["b"]
    page.write("/api/decide", {"person": a["code"], "action": "same", "into": b["code"]})
    cluster = next(item for item in every if item["kind"] == "alike")
    page.write("/api/decide", {"person": 0, "action": "drop", "picked": [cluster["faces"][0]["row"]]})
    outlier = next(item for item in every if item["kind"] == "outlier")
    page.write("/api/decide", {"person": 0, "action": "move", "picked": [outlier["face"]["row"]], "into": "elsewhere"})
    states = [page.read(f"/api/item/{n['n']}")["state"] for n in (people[0], cluster, outlier)]
    assert states == [2, 2, 2]
    size = len(every)
    columns = page.ask("GET", "/api/queue")[1]
    assert [columns[5 * size + item["n"]] for item in (people[0], cluster, outlier)] == [2, 2, 2]
    page.write("/api/undo", {})
    assert page.read(f"/api/item/{outlier['n']}")["state"] == 0


def test_marks_agree_with_the_fold(data):
    session = Session(data, "anna")
    rng = np.random.default_rng(3)
    book = Ledger.of(data.folder)
    ids = [session.queue.id(n) for n in range(len(session.queue))]
    for line in range(1, 200):
        undo = line > 3 and rng.random() < 0.5
        finding = ids[rng.integers(len(ids))]
        one = (
            Decision(do="undo", undoes=int(rng.integers(1, line)))
            if undo
            else Decision(do="keep", faces=("f",), finding=finding)
        )
        book.append([one], "x")
        if line % 7 == 0:
            session.state.refresh()
    session.state.refresh()
    active = fold(book.table()).active_N
    assert [session.state.marks.active(line) for line in range(1, 200)] == active.tolist()
    table = book.table().to_pylist()
    for n, finding in enumerate(ids):
        about = [line["number"] for line in table if line["finding"] == finding and active[line["number"] - 1]]
        assert session.state.marks.line_Q[n] == max(about, default=0)
    fresh = Session(data, "ben")
    assert fresh.state.marks.line_Q.tolist() == session.state.marks.line_Q.tolist()


def test_what_cannot_be_written_or_read_is_said(page, data, tmp_path):
    outlier = page.first("outlier")
    (tmp_path / "data" / "ledger").write_text("no folder")
    status, answer = page.write("/api/decide", {"n": outlier["n"], "action": "drop", "seen": 0})
    assert (status, "ledger" in answer["error"]) == (500, True), answer
    assert page.read(f"/api/item/{outlier['n']}")["state"] == 0
    (tmp_path / "data" / "ledger").unlink()
    assert page.decide(outlier["n"], "drop")[0] == 200
    with pages.reviewed(data.folder.url, "ben") as ben:
        for file in (tmp_path / "data" / "shards").iterdir():
            file.unlink()
        status, content, _ = ben.ask("GET", "/chips?n=0")
        assert (status, b"missing or damaged" in content) == (500, True)
        assert ben.read("/api/start")["line"] == 1


def test_findings_about_faces_that_are_gone_are_left_out_and_counted(data):
    table = proposals.read(data.folder, "outliers")
    gone = table.set_column(0, "face_id", pa.array(["gone", *table["face_id"].to_pylist()[1:]]))
    write_findings(data.folder, "outliers", gone.to_pylist())
    session = Session(data, "anna")
    assert (session.queue.stale, len(session.queue)) == (1, 20)


def test_where_nothing_was_found_there_is_nothing_to_judge(tmp_path):
    data = pages.Crowd(folders=2, faces=2, dim=8).write(str(tmp_path / "d"))
    write_findings(data.folder, "outliers", [])
    with pages.reviewed(data.folder.url) as page:
        assert page.read("/api/start")["findings"] == 0
        assert page.ask("GET", "/api/queue")[1] == b"" and page.ask("GET", "/api/with?q=0")[1] == b""
        assert page.ask("GET", "/api/item/0")[0] == 404
        assert len(page.read("/api/person/0")["rows"]) == 2
        assert page.write("/api/decide", {"person": 0, "action": "drop", "picked": [0]})[0] == 200
        assert page.ask("GET", "/chips?n=0,1")[1] == bytes(8)  # this dataset has no pictures
        assert page.write("/api/undo", {})[1]["n"] is None


def test_without_findings_one_is_told_to_find(tmp_path):
    data = pages.Crowd(folders=2, faces=2, dim=8).write(str(tmp_path / "d"))
    with pytest.raises(DatasetError, match="run omokage find"):
        Session(data, "anna")


def test_the_command_ends_with_what_was_decided(data):
    command = [sys.executable, "-m", "omokage", "review", data.folder.url, "--no-open", "--who", "Ännchen", "--json"]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as ran:
        first = ran.stderr.readline()
        page = pages.Reviewer(first.removeprefix("Review: ").strip())
        assert page.netloc.startswith("127.0.0.1:")
        assert page.decide(page.first("outlier")["n"], "drop")[0] == 200
        ran.send_signal(signal.SIGINT)
        out, err = ran.communicate(timeout=20)
    report = json.loads(out)
    assert (ran.returncode, report["who"], report["wrote"], report["decided"]) == (0, "Ännchen", {"drop_face": 1}, 1), (
        err
    )
    assert (report["findings"], report["open"]) == (17, 16)  # four more are photos that are only alike
    assert pages.lines(data)[0]["who"] == "Ännchen"
