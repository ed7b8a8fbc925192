"""MeshNet: 468 face points in three dimensions from one upright crop."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .base import Network, check_shape, register_to_config


def _conv_bn(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]


class ResidualBlock(nn.Module):
    """(B,C,H,W) -> (B,C,H,W): two convolutions and a shortcut; `separable` ones are cheaper with many channels."""

    def __init__(self, channels: int, separable: bool) -> None:
        super().__init__()
        if separable:
            layers = [
                *_conv_bn(channels, channels, 5, groups=channels),
                *_conv_bn(channels, channels, 1),
            ]
        else:
            layers = [*_conv_bn(channels, channels), nn.SiLU(inplace=True), *_conv_bn(channels, channels)]
        self.body = nn.Sequential(*layers)
        self.activation = nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(x + self.body(x))


class MeshNet(Network):
    """(B,3,128,128) in [-1,1] -> mesh (B,468,3) in crop pixels, presence logit (B,).

    The crop is upright (`faces.align.upright`), and its side is `crop_scale` times the distance from eyes to mouth. The
    last layer is a linear shape model, mean mesh and directions, initialised with principal components of training
    meshes.
    """

    @register_to_config
    def __init__(
        self,
        size: int = 128,
        channels: tuple[int, int, int, int] = (24, 48, 96, 128),
        blocks: tuple[int, int, int] = (1, 1, 3),
        code: int = 256,
        points: int = 468,
        crop_scale: float = 3.4,
        value_range: tuple[float, float] = (-1.0, 1.0),
    ) -> None:
        super().__init__()
        c0, c1, c2, c3 = channels
        self.body = nn.Sequential(
            *_conv_bn(3, c0, 5, 2),
            nn.SiLU(inplace=True),
            *self._stage(c0, c1, blocks[0], separable=False),
            *self._stage(c1, c2, blocks[1], separable=False),
            *self._stage(c2, c3, blocks[2], separable=True),
            *_conv_bn(c3, c3, 3, 2, groups=c3),
            *_conv_bn(c3, code, 1),
            nn.SiLU(inplace=True),
        )
        side = size // 32
        # A depthwise convolution over the whole map, because average pooling would lose the features' positions.
        self.gather = nn.Conv2d(code, code, side, groups=code, bias=False)
        self.gather_norm = nn.BatchNorm1d(code)
        self.shape_model = nn.Linear(code, points * 3)
        self.presence = nn.Linear(code, 1)

    @staticmethod
    def _stage(inputs: int, outputs: int, blocks: int, separable: bool) -> list[nn.Module]:
        down = [*_conv_bn(inputs, outputs, 3, 2), nn.SiLU(inplace=True)]
        return [*down, *(ResidualBlock(outputs, separable) for _ in range(blocks))]

    @torch.no_grad()
    def init_shape_model(self, meshes: Tensor) -> None:
        """Set the shape model to the mean and principal components of meshes (N,468,3) in crop pixels."""
        flat = meshes.flatten(1).float() / self.config["size"]
        mean = flat.mean(0)
        _, values, directions = torch.pca_lowrank(flat - mean, q=min(64, len(flat)))
        scale = values / len(flat) ** 0.5
        self.shape_model.bias.copy_(mean)
        self.shape_model.weight.normal_(std=1e-4)
        self.shape_model.weight[:, : len(scale)] = directions * scale

    def forward(self, crop: Tensor) -> tuple[Tensor, Tensor]:
        """(B,3,128,128) in [-1,1] -> mesh (B,468,3) in crop pixels, presence logit (B,); both float32."""
        size = self.config["size"]
        check_shape("crop", crop, (None, 3, size, size))
        code = self.gather_norm(self.gather(self.body(crop)).flatten(1))
        # Always float32: bfloat16 rounds coordinates to half a pixel, which is more than the mesh's error.
        last = self.shape_model
        with torch.autocast(crop.device.type, enabled=False):
            mesh = nn.functional.linear(code.float(), last.weight.float(), last.bias.float())
        mesh = mesh.unflatten(1, (self.config["points"], 3)) * size
        return mesh, self.presence(code).float().squeeze(1)
