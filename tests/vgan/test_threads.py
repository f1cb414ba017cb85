"""Threads that wait for one another do not take the cores from other programs for long."""

import os
import subprocess
import sys

import pytest

from vgan.cli import main

VARIABLES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


@pytest.fixture
def environment(monkeypatch):
    for name in (*VARIABLES, "OPENBLAS_THREAD_TIMEOUT"):
        monkeypatch.setenv(name, "")  # so that all are put back as they were
        monkeypatch.delenv(name)
    return monkeypatch


def test_waiting_is_set_before_torch_and_numpy_could_be_there(environment):
    script = (
        "import sys, vgan.cli; vgan.cli.main(['--version']); "
        "sys.exit(bool({'torch', 'numpy'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env=os.environ)

    assert main(["--version"]) == 0
    assert os.environ["GOMP_SPINCOUNT"] == "10000"
    assert os.environ["OPENBLAS_THREAD_TIMEOUT"] == "16"


@pytest.mark.parametrize("name", VARIABLES)
def test_what_the_user_has_set_for_waiting_stays(environment, name):
    environment.setenv(name, "1")

    assert main(["--version"]) == 0
    assert [os.environ.get(one) for one in VARIABLES] == [
        "1" if one == name else None for one in VARIABLES
    ]


def test_what_the_user_has_set_for_the_waiting_of_openblas_stays(environment):
    environment.setenv("OPENBLAS_THREAD_TIMEOUT", "26")

    assert main(["--version"]) == 0
    assert os.environ["OPENBLAS_THREAD_TIMEOUT"] == "26"
