import pytest

from crowd import Crowd, gallery
from omokage import schema
from omokage.curate.outliers import OutlierConfig, outliers
from omokage.errors import ConfigError


def found(tmp_path, crowd):
    """Return the findings and, by uri, who is a stranger in its folder."""
    data = gallery(crowd.write(str(tmp_path / "data")))
    whole = crowd.whole()
    stranger = {
        f"{crowd.name(folder)}/{number:05d}.jpg": person != crowd.person_F[folder]
        for folder, number, person in zip(whole.folder_N, whole.number_N, whole.person_N, strict=True)
    }
    table, mixed = outliers(data, OutlierConfig())
    assert table.schema == schema.OUTLIERS
    assert mixed.schema == schema.MIXED
    return table, mixed, stranger


@pytest.mark.parametrize("decay", [0.0, 0.35, 0.6])
@pytest.mark.parametrize("hard", [0.0, 0.2])
def test_finds_planted_strangers(tmp_path, decay, hard):
    crowd = Crowd(folders=150, faces=15, strangers=0.05, hard=hard, decay=decay, seed=int(10 * decay))
    table, _, stranger = found(tmp_path, crowd)
    told = set(table["uri"].to_pylist())
    planted = {uri for uri, bad in stranger.items() if bad}
    assert len(planted) > 80
    assert len(told & planted) >= 0.99 * len(planted)
    assert len(told & planted) >= 0.99 * len(told)


@pytest.mark.parametrize("key", ["certainty", "part"])
def test_bad_settings_are_named(key):
    with pytest.raises(ConfigError, match=key):
        OutlierConfig(**{key: 1.0})
