"""Pictures called as UTKFace calls its own, from files to audit: who is in which group is held against the truth."""

import shutil
from collections import Counter
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from conftest import PEOPLE, SHOTS, run
from omokage.store import Dataset

pytestmark = [pytest.mark.ray, pytest.mark.long]

RACES = ("White", "Black", "Asian", "Indian", "other")

SEXES = ("male", "female")

AGES = (1, 9, 17, 18, 26, 59, 60, 85, 99, 100, 116)

MISFITS = (
    "39_1_20170116174525125.jpg.chip.jpg",  # as in UTKFace itself: no race
    "61_1_20170109142408075.jpg.chip.jpg",
    "1234_0_0_20170116174525125.jpg.chip.jpg",
    "20_2_0_20170116174525125.jpg.chip.jpg",
    "20_1_5_20170116174525125.jpg.chip.jpg",
    "_0_1_20170116174525125.jpg.chip.jpg",
    "portrait.jpg",
)


@pytest.fixture(scope="module")
def utkface(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, tuple[int, str, str]]]:
    """A folder of drawn pictures, with age, sex and race of each that has them."""
    folder, truth = tmp_path_factory.mktemp("utkface"), {}
    drawn = [pictures / person / f"{shot:02d}-0.jpg" for shot in range(SHOTS) for person in PEOPLE]
    for number, picture in enumerate(drawn):
        if number < len(MISFITS):
            name = MISFITS[number]
        else:
            age, sex, race = AGES[number % len(AGES)], number % 2, number % 3
            name = f"{age}_{sex}_{race}_20170116174525{number:03}.jpg.chip.jpg"
            truth[name] = age, SEXES[sex], RACES[race]
        shutil.copy(picture, folder / name)
    return folder, truth


def test_groups_of_an_audit_are_those_of_the_names(utkface, tmp_path: Path) -> None:
    folder, truth = utkface
    ran = run("ingest", folder, tmp_path / "data", "--json")
    assert ran.status == 0, ran.err
    faces = [uri for table in Dataset.open(str(tmp_path / "data")).faces(["uri"]) for uri in table["uri"].to_pylist()]
    assert len(set(faces) & truth.keys()) > 0.8 * len(truth)
    common = (
        *("audit", tmp_path / "data"),
        *("--groups", "name:utkface", "--one-each", "--threshold", "0.5", "--fewest-people", "3"),
        *("--fewest-faces", "3", "--tracking", "off", "--json"),
    )

    def age_group(age: int) -> str:
        return next(name for first, name in ((60, "60+"), (40, "40-59"), (18, "18-39"), (0, "0-17")) if age >= first)

    wanted = {
        ("race", "gender"): lambda age, sex, race: f"{race}, {sex}",
        ("age",): lambda age, sex, race: age_group(age),
        ("gender",): lambda age, sex, race: sex,
    }
    for fields, name in wanted.items():
        out = tmp_path / "-".join(fields)
        ran = run(*common[:2], out, *common[2:], "--fields", *fields, "--ages", "18", "40", "60")
        assert ran.status == 0, ran.err
        groups = ran.report["rates"]["groups"]
        counted = Counter(name(*truth[uri]) for uri in faces if uri in truth)
        assert {each["name"]: each["faces"] for each in groups} == counted
        assert ran.report["rates"]["misfits"] == sum(uri in MISFITS for uri in faces) > 0
        table = pq.read_table(out / "groups.parquet")
        for row in table.filter(pc.is_valid(table["group"])).to_pylist():
            assert row["group"] == name(*truth[row["uri"]])
