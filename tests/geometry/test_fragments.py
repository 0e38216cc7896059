import torch
from torch.autograd import gradcheck

from anifacediff.geometry.fragments import Fragments


def fragments(weights: torch.Tensor) -> Fragments:
    """Two frames of 2 x 3 pixels; pixels (0, 1) of the first and (1, 2) of the second frame are covered."""
    return Fragments(
        pixel=torch.tensor([1, 11]),
        triangle=torch.tensor([1, 0]),
        barycentric=weights,
        triangles=torch.tensor([[0, 1, 2], [2, 1, 3]]),
        frames=2,
        height=2,
        width=3,
    )


WEIGHTS = torch.tensor([[0.5, 0.25, 0.25], [0.0, 0.1, 0.9]])


def test_mask_and_triangle_map() -> None:
    seen = fragments(WEIGHTS)
    expected = torch.tensor([[[-1, 1, -1], [-1, -1, -1]], [[-1, -1, -1], [-1, -1, 0]]])
    assert torch.equal(seen.triangle_map, expected)
    assert torch.equal(seen.mask, expected >= 0)


def test_attributes_are_mixed_by_the_weights_of_the_right_frame() -> None:
    attributes = torch.tensor([[[0.0], [4.0], [8.0], [16.0]], [[0.0], [10.0], [100.0], [1000.0]]])
    attributes = torch.cat([attributes, -attributes], dim=2)
    value = torch.tensor([0.5 * 8 + 0.25 * 4 + 0.25 * 16, 0.1 * 10 + 0.9 * 100])
    assert torch.allclose(fragments(WEIGHTS).interpolate(attributes), torch.stack([value, -value], dim=1))


def test_interpolation_keeps_the_precision_of_the_attributes() -> None:
    assert fragments(WEIGHTS).interpolate(torch.zeros(2, 4, 1, dtype=torch.float64)).dtype == torch.float64


def test_scatter_puts_values_on_their_pixels() -> None:
    picture = fragments(WEIGHTS).scatter(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), background=-5.0)
    expected = torch.full((2, 2, 2, 3), -5.0)
    expected[0, :, 0, 1] = torch.tensor([1.0, 2.0])
    expected[1, :, 1, 2] = torch.tensor([3.0, 4.0])
    assert torch.equal(picture, expected)


def test_gradients_reach_attributes_and_weights() -> None:
    attributes = torch.rand(2, 4, 2, dtype=torch.float64, requires_grad=True)
    weights = WEIGHTS.double().requires_grad_()

    def picture(weights: torch.Tensor, attributes: torch.Tensor) -> torch.Tensor:
        seen = fragments(weights)
        return seen.scatter(seen.interpolate(attributes))

    assert gradcheck(picture, (weights, attributes))
