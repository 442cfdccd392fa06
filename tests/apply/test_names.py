import os
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from omokage.apply.names import Places, folders, key, numbered, renaming, safe
from omokage.storage import LONGEST_NAME

ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ODD = ANY | st.sampled_from(
    ["", ".", "..", "a/b", "a_b", "../x", "x" * 300, "x" * 299, "名" * 90, "Anna", "ANNA", "é", "é"]
)


def can_be_a_name(name: str) -> bool:
    return name not in ("", ".", "..") and not set("/\0") & set(name) and len(os.fsencode(name)) <= LONGEST_NAME


@settings(deadline=None)
@given(st.lists(ODD))
def test_every_person_has_a_folder_and_no_two_share_one(people):
    found = folders(people, taken=["omokage.parquet"])
    assert found.keys() == set(people)
    assert all(map(can_be_a_name, found.values()))
    as_a_mac_sees_them = {unicodedata.normalize("NFD", name).casefold() for name in found.values()}
    assert len({key(name) for name in found.values()} | {"omokage.parquet"}) == len(found) + 1
    assert len(as_a_mac_sees_them) == len(found)


@settings(deadline=None)
@given(ODD)
def test_a_name_that_can_be_one_is_kept_and_another_is_made_once_for_all(who):
    assert (safe(who) == who) == can_be_a_name(who)
    assert folders([who, "another"])[who] == safe(who)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["x", "X", "x/y", "x/y/z", "q/x", "x (2)", "n" * 255])))
)
def test_every_file_has_a_place_and_none_lies_in_a_file(wanted):
    places = Places({"a/q": "file", "b/x": "folder", "b/X": "file"}.get)
    found = [places.take(folder, inside) for folder, inside in wanted]
    assert len({key(place) for place in found}) == len(found)
    assert not set(found) & {"a/q", "b/x", "b/X"}
    for place, (folder, inside) in zip(found, wanted, strict=True):
        assert place.startswith(folder + "/")
        assert len(place.rpartition("/")[2].encode()) <= LONGEST_NAME
        assert not any(other.startswith(place + "/") or place.startswith("a/q/") for other in found)
        stem = inside.rpartition("/")[2]
        assert place.rpartition("/")[2].startswith(stem[:200])


def test_many_of_one_name_are_numbered_quickly():
    places = Places(lambda _: None)
    assert [places.take("a", "1.jpg") for _ in range(20_000)][-1] == "a/1 (20000).jpg"


def test_a_number_goes_before_the_ending():
    assert numbered("x.tar.gz", 2) == "x.tar (2).gz"
    assert numbered(".hidden", 3) == ".hidden (3)"
    assert len(numbered("n" * 251 + ".jpg", 12).encode()) == LONGEST_NAME


def test_why_somebody_gets_another_folder_is_told():
    for identity in ("..", "anna"):
        told = renaming(identity, folders(["Anna", "anna", ".."])[identity])
        assert told.startswith(f"Note: {identity!r} gets the folder '") and "but for case" in told
