"""The quick dropout drops what dropout should."""

import pytest
import torch

from dynabert.modeling.dropout import Dropout, dropout


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_share_and_scale(rate: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    dropped = dropout(torch.ones(301, 999, dtype=dtype), rate)  # a size that 4 does not divide
    share = (dropped == 0).double().mean().item()
    sigma = (rate * (1 - rate) / dropped.numel()) ** 0.5
    assert share == pytest.approx(rate, abs=5 * sigma + 2**-16)
    kept = dropped[dropped != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - rate)), atol=0, rtol=8e-3)


def test_neighbours_are_independent() -> None:
    # Four numbers are cut from one draw: do they fall together?
    torch.manual_seed(1)
    zero = (dropout(torch.ones(400_000), 0.3) == 0).double().view(-1, 4)
    correlation = torch.corrcoef(zero.T)
    off_diagonal = correlation[~torch.eye(4, dtype=torch.bool)]
    assert off_diagonal.abs().max() < 0.02


def test_seed_repeats_it() -> None:
    x = torch.randn(7, 33)
    draws = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        draws.append(dropout(x, 0.4))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_gradient_flows_through_what_was_kept() -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 64, dtype=torch.float64, requires_grad=True)
    dropped = dropout(x, 0.25)
    dropped.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, (dropped / x).detach())


def test_nothing_and_everything() -> None:
    x = torch.randn(3, 5)
    assert dropout(x, 0.0) is x
    assert torch.equal(dropout(x, 1.0), torch.zeros_like(x))


def test_module_only_drops_in_training() -> None:
    x = torch.ones(50, 50)
    module = Dropout(0.5)
    assert (module(x) == 0).any()
    assert module.eval()(x) is x
