import pytest

from omokage.errors import ConfigError
from omokage.flows.workers import plan


@pytest.mark.parametrize("cpus", [0.5, 1, 2, 3, 7, 16, 64, 129])
@pytest.mark.parametrize("gpus", [0, 1, 3, 8])
@pytest.mark.parametrize("detect_on", ["cpu", "cuda"])
@pytest.mark.parametrize("look", [None, 1, 5, 200])
def test_nothing_is_booked_twice(cpus, gpus, detect_on, look):
    """More than there is, and Ray Data waits for ever."""
    if detect_on == "cuda" and not gpus:
        with pytest.raises(ConfigError, match="no GPU"):
            plan(cpus, gpus, look, detect_on)
        return
    workers = plan(cpus, gpus, look, detect_on)
    assert workers.cpus <= cpus
    assert min(workers.look_cpus, workers.encode_cpus, workers.write_cpus) > 0
    assert workers.look * workers.look_gpus + workers.encode * workers.encode_gpus <= gpus
    assert workers.look == look or look is None
    assert (workers.encode_gpus > 0) == (gpus > 0), "a card that is there is used"
    assert (workers.look_gpus > 0) == (detect_on == "cuda")


def test_nothing_to_work_with_is_refused():
    with pytest.raises(ConfigError, match="CPU"):
        plan(0, 0)
    with pytest.raises(ConfigError, match="workers"):
        plan(2, 0, look=0)
