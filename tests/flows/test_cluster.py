"""Joining Ray: what is refused before anything is started."""

import pytest

from omokage.errors import ConfigError
from omokage.flows.cluster import ClusterConfig, connected


def test_more_gpus_than_the_machine_has_are_refused_before_ray_believes_it():
    with pytest.raises(ConfigError, match="gpus is 99, and this machine has"), connected(ClusterConfig(gpus=99)):
        raise AssertionError("it must not come so far")
