"""The files in cluster/, checked by what reads them; nothing here starts a cluster."""

import copy
import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.runtime_env import RuntimeEnv

from omokage import __version__, system, weights
from omokage.vision.detector import WEIGHTS

REPOSITORY = Path(__file__).parents[1]
CLUSTER = REPOSITORY / "cluster"


def read(name):
    return yaml.safe_load((CLUSTER / name).read_text())


def kuberay_says(manifest):
    schema = json.loads((REPOSITORY / "tests" / "kuberay_rayjob.schema.json").read_text())
    return [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(manifest)]


def test_the_autoscaler_takes_its_file():
    validate_config(prepare_config(read("autoscale.yaml")))


def test_the_autoscaler_would_refuse_a_misspelt_key():
    config = read("autoscale.yaml")
    config["available_node_types"]["worker"]["min_worker"] = 1
    with pytest.raises(jsonschema.ValidationError, match="min_worker"):
        validate_config(prepare_config(config))


def test_kuberay_takes_its_file():
    manifest = read("kuberay.yaml")
    assert kuberay_says(manifest) == []
    assert manifest["spec"]["rayClusterSpec"]["authOptions"]["mode"] == "token"


@pytest.mark.parametrize("spoil", ["misspell", "drop", "mistype"])
def test_kuberay_would_refuse_a_wrong_file(spoil):
    manifest = copy.deepcopy(read("kuberay.yaml"))
    cluster = manifest["spec"]["rayClusterSpec"]
    if spoil == "misspell":
        cluster["workerGroupSpec"] = cluster.pop("workerGroupSpecs")
    elif spoil == "drop":
        del cluster["headGroupSpec"]["template"]
    else:
        cluster["workerGroupSpecs"][0]["replicas"] = "four"
    assert kuberay_says(manifest)


def test_ray_takes_the_runtime_env():
    env = RuntimeEnv(**read("runtime_env.yaml"))
    assert env["env_vars"]["PYTHONPATH"] == "platform"
    assert env["env_vars"]["RAY_AUTH_MODE"] == "token"


def test_every_node_runs_the_ray_that_the_project_wants():
    wanted = re.search(r'"ray\[.*\]>=([\d.]+),<([\d.]+)"', (REPOSITORY / "pyproject.toml").read_text())
    named = read("kuberay.yaml")["spec"]["rayClusterSpec"]["rayVersion"]
    parts = [tuple(map(int, version.split("."))) for version in (wanted[1], named, wanted[2])]
    assert parts == sorted(parts)


def test_the_image_has_what_the_program_opens():
    lines = (CLUSTER / "Containerfile").read_text()
    assert set(system.LIBRARIES.values()) <= set(lines.split())
    fetched = lines.split("weights fetch ")[1].split()
    assert {name for names in WEIGHTS.values() for name in names} | {"sface"} <= set(fetched) <= set(weights.ENTRIES)
    for name in ("kuberay.yaml", "autoscale.yaml", "Containerfile"):
        assert set(re.findall(r"omokage:(\d\S*)", (CLUSTER / name).read_text())) == {__version__}


def test_no_file_holds_a_secret():
    for file in CLUSTER.iterdir():
        assert not re.search(r"AKIA|[0-9a-f]{32}|SECRET_ACCESS_KEY=\w", file.read_text()), file


def test_every_job_says_how_to_submit_it():
    for job in (REPOSITORY / "jobs").glob("*.py"):
        assert f"python jobs/{job.name}" in job.read_text().split('"""')[1], job
