import pytest
import torch

from seg_assets.training.demo.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(8, 8), (4, 12), (12, 4)])
def test_singular_values_come_near_one_and_vectors_stay(shape):
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(shape, generator=generator)
    u, values, v = torch.linalg.svd(matrix, full_matrices=False)
    result = orthogonal(matrix)
    found = torch.diagonal(u.T @ result @ v.T)
    # the coefficients make the iteration quick, not exact: it ends between about 0.7 and 1.2
    assert ((found > 0.6) & (found < 1.3)).all()
    assert torch.allclose(u @ torch.diag(found) @ v, result, atol=1e-4)
    assert values.max() > 1.3


def test_a_step_follows_the_gradient_and_decays():
    weight = torch.nn.Parameter(torch.eye(4))
    weight.grad = torch.diag(torch.tensor([4.0, 3.0, 2.0, 1.0]))
    Muon([weight], lr=0.1, momentum=0.0, weight_decay=0.5).step()
    moved = torch.diagonal(weight.detach())
    # decay leaves 0.95; the update is near 0.1 x 0.2 x sqrt(4) = 0.04 for every entry
    assert ((moved > 0.95 - 0.04 * 1.3) & (moved < 0.95 - 0.04 * 0.6)).all()


def test_momentum_remembers():
    weight = torch.nn.Parameter(torch.zeros(2, 2))
    optimizer = Muon([weight], lr=0.1)
    weight.grad = torch.eye(2)
    optimizer.step()
    before = weight.detach().clone()
    weight.grad = torch.zeros(2, 2)
    optimizer.step()
    assert (torch.diagonal(weight.detach()) < torch.diagonal(before)).all()


def test_a_parameter_without_gradient_stays():
    weight = torch.nn.Parameter(torch.eye(2))
    Muon([weight], lr=0.1, weight_decay=0.5).step()
    assert torch.equal(weight.detach(), torch.eye(2))
