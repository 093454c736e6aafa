"""The VGG front end: lengths, padding, and the plain network it must equal."""

import pytest
import torch
import torch.nn.functional as F

from asr_topdown.nn.vgg import Vgg


def plain(vgg: Vgg, image: torch.Tensor) -> torch.Tensor:
    """One utterance (1, channels, T, D) through plain convolutions, ReLUs and poolings."""
    first, second, third, fourth = vgg.convolutions
    image = F.max_pool2d(F.relu(second(F.relu(first(image)))), 2, 2, ceil_mode=True)
    image = F.max_pool2d(F.relu(fourth(F.relu(third(image)))), 2, 2, ceil_mode=True)
    return image.transpose(1, 2).flatten(2)


@pytest.mark.parametrize(("channels", "filters"), [(1, (64, 128)), (3, (8, 12))])
def test_each_length_in_a_batch_gives_what_it_gives_alone(channels: int, filters: tuple[int, int]) -> None:
    """Values and gradients: what is zeroed behind autograd's back must not show."""
    torch.manual_seed(0)
    vgg = Vgg(input_size=12, channels=channels, filters=filters)
    assert vgg.output_size == filters[1] * -(-12 // channels // 4)
    sizes = list(range(1, 14))
    feats = [torch.randn(size, 12) for size in sizes]
    batch = torch.full((len(sizes), 13, 12), 5.0)
    for row, item in zip(batch, feats, strict=True):
        row[: len(item)] = item
    out, lengths = vgg(batch, torch.tensor(sizes))
    assert lengths.tolist() == vgg.output_lengths(torch.tensor(sizes)).tolist()
    weight = torch.randn_like(out)
    (out * weight * (torch.arange(out.shape[1]) < lengths[:, None])[:, :, None]).sum().backward()
    ours = [parameter.grad.clone() for parameter in vgg.parameters()]
    vgg.zero_grad()
    for row, item in enumerate(feats):
        image = item.view(1, len(item), channels, -1).transpose(1, 2)
        alone = plain(vgg, image)
        assert alone.shape[1:] == (int(lengths[row]), vgg.output_size)
        assert torch.allclose(out[row, : alone.shape[1]], alone[0], atol=1e-5)
        (alone[0] * weight[row, : alone.shape[1]]).sum().backward()
    for grad, parameter in zip(ours, vgg.parameters(), strict=True):
        assert torch.allclose(grad, parameter.grad, rtol=1e-4, atol=1e-4)
