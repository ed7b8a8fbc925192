"""Layers: maps that a generator predicts at 128 px, applied to target and guidance at their own size.

Every pixel of the result is the source's texture, the target or the generated picture, or a mixture of them. The maps
are smooth, so they can be enlarged; fine detail comes from the full-size pictures.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layer_maps import CELLS, CHANNELS, COLOURS, FINE, FLOWS, INVALID, REACH, SCORES, SIDE, TINT


class LayerHead(nn.Conv2d):
    """(B,C,128,128) -> (B,CHANNELS,128,128): the maps. They start with mostly the generated picture visible."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, CHANNELS, 3, padding=1)
        nn.init.zeros_(self.weight)
        start = torch.zeros(CHANNELS)
        start[:SCORES] = torch.tensor([0.0, -2.0, 1.0])
        start[-FINE:] = -3.0
        assert self.bias is not None
        with torch.no_grad():
            self.bias.copy_(start)


def reduced(picture: Tensor) -> Tensor:
    """(B,C,S,S) -> (B,C,128,128), averaged."""
    if picture.shape[-1] == SIDE:
        return picture
    return F.adaptive_avg_pool2d(picture, SIDE)


def enlarged(maps: Tensor, size: torch.Size) -> Tensor:
    """(B,C,h,w) -> (B,C,S,S), bilinear."""
    if maps.shape[-2:] == size:
        return maps
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def lean_towards_texture(maps: Tensor, towards_texture: float) -> Tensor:
    """(B,CHANNELS,h,w) the maps with `towards_texture` added to the texture's score, and without relighting."""
    scores, flows, colours, fine = maps.split((SCORES, FLOWS, COLOURS, FINE), 1)
    return torch.cat([scores[:, :1] + towards_texture, scores[:, 1:], flows, 0 * colours, fine], 1)


def compose(made: Tensor, maps: Tensor, target: Tensor, guidance: Tensor) -> tuple[Tensor, Tensor]:
    """Apply the maps: (B,3,S,S) the result, and (B,3,S,S) the weights of texture, target and generated picture.

    made: (B,3,128,128) in [-1,1]. maps: (B,CHANNELS,128,128). target: (B,3,S,S). guidance: (B,4,S,S).
    """
    size = target.shape[-2:]
    scores, flows, colours, fine = maps.float().split((SCORES, FLOWS, COLOURS, FINE), 1)
    colours = enlarged(F.adaptive_avg_pool2d(colours, CELLS), maps.shape[-2:]).tanh()
    gain, bias = (_reduce_tint(one) for one in colours.split(3, 1))
    small = torch.cat([scores, REACH * flows.tanh(), gain, bias, fine.sigmoid(), made.float()], 1)
    scores, flows, gain, bias, fine, drawn = enlarged(small, size).split((SCORES, FLOWS, 3, 3, FINE, 3), 1)
    moved = _moved(guidance.float(), flows[:, :2])
    texture, valid = moved[:, :3], moved[:, 3:]
    relit = (texture * (1 + 0.5 * gain) + 0.6 * bias).clamp(-1, 1)
    under = _moved(target.float(), flows[:, 2:])
    scores = torch.cat([scores[:, :1] - INVALID * (1 - valid), scores[:, 1:]], 1)
    weights = torch.softmax(scores, 1)
    if size[0] > SIDE:
        drawn = drawn + fine[:, :1] * valid * _fine(relit) + fine[:, 1:] * _fine(under)
    image = weights[:, :1] * relit + weights[:, 1:2] * under + weights[:, 2:] * drawn.clamp(-1, 1)
    return image.to(made.dtype), weights


def _reduce_tint(change: Tensor) -> Tensor:
    """(B,3,h,w) a change of brightness per channel, with the differences between channels reduced."""
    grey = change.mean(1, keepdim=True)
    return grey + TINT * (change - grey)


def _moved(picture: Tensor, flow: Tensor) -> Tensor:
    """(B,C,S,S) the picture warped by a flow (B,2,S,S), in fractions of half its side."""
    batch, _, height, width = picture.shape
    rows = (torch.arange(height, device=picture.device, dtype=flow.dtype) + 0.5) * (2 / height) - 1
    columns = (torch.arange(width, device=picture.device, dtype=flow.dtype) + 0.5) * (2 / width) - 1
    grid = torch.stack([columns.expand(height, width), rows[:, None].expand(height, width)], -1)
    places = grid.expand(batch, height, width, 2) + flow.permute(0, 2, 3, 1)
    return F.grid_sample(picture, places, mode="bilinear", padding_mode="border", align_corners=False)


def _fine(picture: Tensor) -> Tensor:
    """(B,3,S,S) the picture's detail that 128 px cannot show."""
    return picture - enlarged(reduced(picture), picture.shape[-2:])
