"""Ensembles on eight devices of a CPU.

They have a process of their own: devices are counted at its start, and if they wait for each other
they do so for ever.
"""

import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import on_devices
from lazyrich import training

DEVICES = 8
ENVIRONMENT = {
    "JAX_ENABLE_X64": "true",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": f"--xla_force_host_platform_device_count={DEVICES}",
}


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    """The numbers on eight devices, and where they lie."""
    file = tmp_path_factory.mktemp("devices") / "numbers.npz"
    done = subprocess.run(
        [sys.executable, on_devices.__file__, str(file)],
        env=os.environ | ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=300,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return np.load(file), json.loads(done.stdout)


def test_eight_devices_give_the_numbers_of_one(sharded):
    expected = on_devices.numbers()
    assert set(sharded[0].files) == set(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(sharded[0][name], array, rtol=1e-9, atol=1e-12, err_msg=name)


def test_each_device_keeps_its_own_members(sharded):
    each = {str(device): 1 for device in range(DEVICES)}
    assert sharded[1]["fit"] == sharded[1]["nested"] == each


def test_members_that_the_devices_do_not_divide_are_gathered_without_the_copies(sharded):
    assert sharded[1]["digits"] == {str(device): 11 for device in range(DEVICES)}


def test_members_run_one_by_one_are_shared_by_gpus(sharded):
    assert sharded[1]["spread"] == {str(device): 1 for device in range(DEVICES)}


def test_devices_do_not_communicate(sharded):
    assert sharded[1]["communication"] == []


def test_one_device_has_the_plain_program():
    program = str(jax.make_jaxpr(training.ensemble(jnp.sin))(jnp.ones((3, 2))))
    assert len(jax.local_devices()) == 1 and "scan" in program and "shard" not in program
