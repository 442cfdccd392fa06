"""Two ranks with weights of people spread over them: killed, taken up by two, and by one."""

import gang
import pytest
from lessons import crowd, taught


@pytest.mark.long
def test_ranks_that_are_gone_in_mid_epoch_go_on_exactly_and_one_rank_can_take_over(tmp_path):
    crowd(tmp_path / "data", people=12)
    data = str(tmp_path / "data")
    quiet, broken, alone = (str(tmp_path / name) for name in ("quiet", "broken", "alone"))
    tasks = [
        (taught, 2, (data, quiet, 0)),
        (taught, 2, (data, broken, 3)),
        (taught, 2, (data, broken, 0)),
        (taught, 2, (data, alone, 3)),
        (taught, 1, (data, alone, 0)),
    ]
    undisturbed, _, taken_up, _, (one,) = gang.play(tasks, tmp_path / "said")
    assert undisturbed[0] == undisturbed[1] and len(undisturbed[0][0]) == 2
    assert taken_up[0][0] == undisturbed[0][0] and taken_up[0][2] == 2
    curve, notes, starts = one
    assert [line["epoch"] for line in curve] == [1, 2] and starts == 2
    assert notes == ["taken up on 1 workers after 2: the batches are others from there on"]
