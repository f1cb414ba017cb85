import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from vgan.models import densities, measuring
from vgan.models.forms import DOUBLE, HALVE, WEIGHT_GRADIENT, Form, Forms
from vgan.models.measuring import (
    TF32_TOLERANCE,
    TOLERANCE,
    drain,
    error_beside_float32,
    measure,
    tolerance,
)
from vgan.models.mixture import GaussianMixture
from vgan.models.strided import DoublingConv3d, HalvingConv3d

SHAPE = torch.Size((2, 4, 2, 4, 4))
F32, BF16 = torch.float32, torch.bfloat16


@pytest.fixture
def clock(monkeypatch):
    """Make one form of each operation, and one arithmetic, take no time: `clock(forms, dtype)`."""

    def set_fast(forms, dtype=F32):
        fast = {HALVE[forms.halve], DOUBLE[forms.double], WEIGHT_GRADIENT[forms.weight_gradient]}
        monkeypatch.setattr(
            measuring,
            "_seconds",
            lambda operation, given, _: (operation not in fast) + 5.0 * (given[0].dtype != dtype),
        )

    return set_fast


@pytest.mark.parametrize("layer", [HalvingConv3d(4, 6), DoublingConv3d(4, 6)])
@pytest.mark.parametrize("channels_last", [False, True])
def test_the_fastest_form_of_each_operation_is_chosen(layer, channels_last, clock):
    forms = Forms(Form.PHASES, Form.PRODUCT, Form.LIBRARY)
    clock(forms)

    assert measure(layer, SHAPE, F32, channels_last) == (forms, 0.0)


def test_a_bfloat16_layer_that_is_quicker_in_float32_works_in_float32(clock):
    clock(Forms(), F32)
    assert measure(HalvingConv3d(4, 6), SHAPE, BF16, True)[0] == Forms(dtype="float32")

    clock(Forms(), BF16)
    assert measure(HalvingConv3d(4, 6), SHAPE, BF16, True)[0] == Forms()


def test_a_form_that_is_wrong_on_this_machine_is_never_chosen(clock, monkeypatch, caplog):
    clock(Forms(Form.PHASES, Form.PHASES, Form.PHASES))
    right = HALVE[Form.PHASES]
    broken = dict(HALVE)
    broken[Form.PHASES] = lambda large, weight: 1.001 * right(large, weight)
    monkeypatch.setattr(measuring, "HALVE", broken)

    forms, _ = measure(HalvingConv3d(4, 6), SHAPE, F32, True)

    assert forms.halve is not Form.PHASES
    assert (forms.double, forms.weight_gradient) == (Form.PHASES, Form.PHASES)
    assert "`phases` is wrong on this machine" in caplog.text


def test_a_form_that_gives_nan_is_never_chosen(clock, monkeypatch):
    clock(Forms(Form.PHASES))
    right = HALVE[Form.PHASES]
    broken = {Form.PHASES: lambda large, weight: right(large, weight) * torch.nan}
    monkeypatch.setattr(measuring, "HALVE", HALVE | broken)

    assert measure(HalvingConv3d(4, 6), SHAPE, F32, True)[0].halve is Form.LIBRARY


def test_a_form_that_asks_for_too_much_memory_is_passed_over(clock, monkeypatch):
    clock(Forms(Form.PHASES))

    def greedy(large, weight):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 80.00 GiB.")

    monkeypatch.setattr(measuring, "HALVE", HALVE | {Form.PHASES: greedy})

    assert measure(HalvingConv3d(4, 6), SHAPE, F32, True)[0].halve is Form.LIBRARY


def test_the_librarys_own_form_is_not_used_where_it_is_wrong(clock, monkeypatch):
    def broken(large, weight):
        found = HALVE[Form.LIBRARY](large, weight)
        return found * (1.1 if large.dtype == BF16 else 1.0)

    clock(Forms(), BF16)
    monkeypatch.setattr(measuring, "HALVE", dict.fromkeys(Form, broken))

    assert measure(HalvingConv3d(4, 6), SHAPE, BF16, True)[0] == Forms(dtype="float32")


class Faulty(torch.autograd.Function):
    """Pass maps on; multiply the gradient of bfloat16 ones."""

    @staticmethod
    def forward(ctx, maps, factor):
        ctx.factor = factor if maps.dtype == BF16 else 1.0
        return maps.clone()

    @staticmethod
    def backward(ctx, gradient):
        return ctx.factor * gradient, None


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    ("factor", "least", "most"), [(1.0, 1e-4, 1e-2), (1.5, 0.4, 0.6), (torch.nan, None, None)]
)
def test_a_layer_is_as_wrong_as_its_worst_gradient(channels_last, factor, least, most):
    class Layer(nn.Conv3d):
        def forward(self, maps):
            return Faulty.apply(super().forward(maps), factor)

    layer = Layer(4, 6, 3, padding=1)
    before = {name: weight.clone() for name, weight in layer.state_dict().items()}

    error = error_beside_float32(layer, torch.Size((2, 4, 4, 4, 4)), BF16, channels_last)

    if least is None:
        assert error == math.inf
    else:
        assert least < error < most
    assert all(torch.equal(before[name], now) for name, now in layer.state_dict().items())
    assert all(weight.grad is None for weight in layer.parameters())


def test_products_that_would_gather_too_much_are_not_tried(clock, monkeypatch):
    clock(Forms(Form.PRODUCT, Form.PRODUCT, Form.PRODUCT))
    places = 2 * 1 * 2 * 2
    assert measure(HalvingConv3d(4, 6), SHAPE, F32, True)[0].halve is Form.PRODUCT

    monkeypatch.setitem(measuring._MOST_WINDOWS, "cpu", 64 * 4 * places - 1)

    assert measure(HalvingConv3d(4, 6), SHAPE, F32, True)[0].halve is not Form.PRODUCT


@pytest.mark.parametrize(
    ("device", "dtypes", "forms"),
    [("cpu", [BF16, F32], [Form.LIBRARY, Form.PHASES]), ("cuda", [BF16], list(Form))],
)
def test_a_gpu_tries_large_products_and_the_runs_own_arithmetic_alone(
    monkeypatch, device, dtypes, forms
):
    drawn, tried = [], []

    def draw(size, device, dtype, layout):
        drawn.append((device.type, dtype))

    def fastest(table, given, forms, layout):
        tried.append(forms)
        return Form.LIBRARY, 1.0

    layer = HalvingConv3d(4, 6)
    weight = SimpleNamespace(device=torch.device(device))
    monkeypatch.setattr(layer, "parameters", lambda: iter([weight]))
    monkeypatch.setattr(measuring, "_drawn", draw)
    monkeypatch.setattr(measuring, "_fastest", fastest)

    found = measure(layer, torch.Size((64, 4, 16, 32, 32)), BF16, True)

    assert found == (Forms(), 3.0)
    assert drawn == [(device, dtype) for dtype in dtypes for _ in range(3)]
    assert tried == [forms] * 3 * len(dtypes)


def test_maps_are_drawn_on_the_device_that_is_measured(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "Generator", lambda device: SimpleNamespace(manual_seed=str))

    def randn(size, *, generator, device):
        asked.append(device)
        return torch.zeros(size)

    monkeypatch.setattr(torch, "randn", randn)
    card = torch.device("cuda", 1)

    measuring._drawn(torch.Size((2, 3, 4, 4, 4)), card, BF16, torch.channels_last_3d)

    assert asked == [card]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [F32, BF16])
def test_every_form_is_right_on_a_gpu(dtype, caplog):
    forms, seconds = measure(DoublingConv3d(32, 16).to("cuda"), (8, 32, 4, 8, 8), dtype, True)

    assert forms.dtype is None
    assert seconds > 0
    assert caplog.text == ""


def test_a_real_clock_finds_some_right_form():
    forms, seconds = measure(DoublingConv3d(4, 3), SHAPE, F32, False)

    assert isinstance(forms, Forms)
    assert seconds > 0


def arithmetic():
    """How float32 on CUDA is multiplied, and whether kernels are tried out."""
    cudnn = torch.backends.cudnn
    products = torch.get_float32_matmul_precision()
    return cudnn.conv.fp32_precision, cudnn.benchmark, products


@pytest.fixture
def rounding():
    """Let matrix products round to TF32, as TORCH_ALLOW_TF32_CUBLAS_OVERRIDE=1 does."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    yield
    torch.set_float32_matmul_precision(before)


@pytest.mark.usefixtures("rounding")
def test_forms_are_held_against_convolutions_that_do_not_round(clock, monkeypatch):
    seen = []

    def noted(form):
        def operation(large, weight):
            seen.append((form, *arithmetic()))
            return HALVE[form](large, weight)

        return operation

    clock(Forms())
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)  # kernels are tried out
    as_given = arithmetic()
    monkeypatch.setattr(measuring, "HALVE", {form: noted(form) for form in Form})
    measure(HalvingConv3d(4, 6), SHAPE, F32, True)

    assert as_given[0] != "ieee"
    assert as_given[2] == "high"
    assert seen == [(Form.LIBRARY, "ieee", False, "highest"), *((form, *as_given) for form in Form)]
    assert arithmetic() == as_given


@pytest.mark.usefixtures("rounding")
def test_the_products_of_a_mixtures_fit_do_not_round(monkeypatch):
    seen = []

    def noted(operation):
        def noting(*given, **settings):
            seen.append((operation.__name__, arithmetic()[2]))
            return operation(*given, **settings)

        return noting

    monkeypatch.setattr(torch, "addmm", noted(torch.addmm))
    monkeypatch.setattr(densities, "_lengths", noted(densities._lengths))
    codes = torch.randn((40, 3), generator=torch.Generator().manual_seed(0))

    GaussianMixture.fit(codes, 2, most_iterations=1)

    assert ("addmm", "highest") in seen
    assert ("addmm", "high") not in seen
    assert ("_lengths", "highest") in seen
    assert arithmetic()[2] == "high"


def rounded(values):
    """Round to TF32: 10 bits after the leading one, of float32's 23."""
    bits = values.view(torch.int32)
    return ((bits + (1 << 12)) & ~((1 << 13) - 1)).view(F32)


def test_convolutions_that_round_to_tf32_are_right_on_cuda_and_wrong_elsewhere():
    chance = torch.Generator().manual_seed(0)
    large = torch.randn((2, 16, 4, 8, 8), generator=chance)
    weight = torch.randn((32, 16, 4, 4, 4), generator=chance)
    expected = HALVE[Form.LIBRARY](large, weight)

    found = HALVE[Form.LIBRARY](rounded(large), rounded(weight))

    error = (found - expected).abs().max() / expected.abs().max()
    assert tolerance(F32, torch.device("cpu")) < error < tolerance(F32, torch.device("cuda")) / 2
    assert tolerance(F32, torch.device("cuda")) == TF32_TOLERANCE
    assert tolerance(BF16, torch.device("cuda")) == TOLERANCE[BF16]


def test_the_device_that_works_is_waited_for_not_the_current_one(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *given: waited.append(given))

    drain(torch.device("cuda", 1))
    drain(torch.device("cpu"))

    assert waited == [(torch.device("cuda", 1),)]
