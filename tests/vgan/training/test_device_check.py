import importlib.util
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn

PATH = Path(__file__).parents[3] / "benchmarks" / "gpu" / "check.py"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def device_check():
    spec = importlib.util.spec_from_file_location("device_check", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_bfloat16_of_this_processor_is_within_the_tolerance(device_check, capsys):
    assert device_check.check(2, 2, CPU, compiled=False)
    assert capsys.readouterr().out.count("ok") == 4


def test_a_wrong_kernel_is_found(device_check, monkeypatch, capsys):
    plain = device_check.results

    def wrong(network, given, dtype, pull):
        found = plain(network, given, dtype, pull)
        return found if dtype == torch.float32 else found | {"output": found["output"].roll(1)}

    monkeypatch.setattr(device_check, "results", wrong)

    assert not device_check.check(2, 2, CPU, compiled=False)
    assert "TOO FAR" in capsys.readouterr().out


def test_plain_float32_is_not_rounded_by_the_convolutions(device_check, monkeypatch):
    plain, seen = device_check.results, []

    def noted(network, given, dtype, pull):
        seen.append((dtype, torch.backends.cudnn.conv.fp32_precision == "ieee"))
        return plain(network, given, dtype, pull)

    monkeypatch.setattr(device_check, "results", noted)
    device_check.check(1, 2, CPU, compiled=False)

    assert seen == 2 * [(torch.float32, True), (torch.bfloat16, False)]


def test_work_is_timed_on_its_own_device(device_check, monkeypatch):
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *given: waited.append(given))

    device_check.seconds(lambda: waited.append("call"), torch.device("cuda", 1))

    drained = (torch.device("cuda", 1),)
    assert waited == [*5 * ["call"], drained, *30 * ["call"], drained]


def test_a_timed_pass_does_not_add_to_the_gradients_of_the_one_before(device_check):
    network, given = nn.Linear(3, 1), torch.ones(2, 3)

    for _ in range(2):
        device_check.there_and_back(network, given)

    assert network.weight.grad.tolist() == [[2, 2, 2]]


def test_a_device_is_measured_then_checked_with_the_arithmetic_of_training(
    device_check, monkeypatch
):
    seen = []

    @contextmanager
    def arithmetic(device):
        seen.append(device)
        yield
        seen.append("undone")

    monkeypatch.setattr(device_check, "arithmetic", arithmetic)
    monkeypatch.setattr(device_check, "check", lambda *_: seen.append("checked"))
    monkeypatch.setattr(device_check, "measure", lambda *_: seen.append("measured"))
    monkeypatch.setattr(sys, "argv", ["check.py", "--device", "cpu", "--product", "8"])

    with pytest.raises(SystemExit):
        device_check.main()

    assert seen == [CPU, "measured", "checked", "undone"]
