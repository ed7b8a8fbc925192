"""IResNet: the residual network of ArcFace and of the published FixerNet, with the usual layer names."""

from __future__ import annotations

import torch
from torch import Tensor, nn

IRESNET_LAYERS: dict[str, tuple[int, int, int, int]] = {
    "iresnet18": (2, 2, 2, 2),
    "iresnet34": (3, 4, 6, 3),
    "iresnet50": (3, 4, 14, 3),
    "iresnet100": (3, 13, 30, 3),
}


class ResidualUnit(nn.Module):
    """(B,C,H,W) -> (B,C',H/stride,W/stride): norm, conv, norm, PReLU, strided conv, norm, plus the shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.prelu = nn.PReLU(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.downsample: nn.Module | None = None
        if stride > 1 or channels_in != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        return self.bn3(self.conv2(x)) + shortcut


def _layer(before: int, after: int, units: int) -> nn.Sequential:
    """(B,C,H,W) -> (B,C',H/2,W/2)."""
    rest = [ResidualUnit(after, after, stride=1) for _ in range(units - 1)]
    return nn.Sequential(ResidualUnit(before, after, stride=2), *rest)


class IResNet(nn.Module):
    """(B,3,size,size), normalised -> (B,embedding_size), not normalised."""

    def __init__(self, body: str, embedding_size: int, size: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU(64)
        one, two, three, four = IRESNET_LAYERS[body]
        self.layer1 = _layer(64, 64, one)
        self.layer2 = _layer(64, 128, two)
        self.layer3 = _layer(128, 256, three)
        self.layer4 = _layer(256, 512, four)
        side = -(-size // 16)
        self.bn2 = nn.BatchNorm2d(512)
        self.fc = nn.Linear(512 * side * side, embedding_size)
        self.features = nn.BatchNorm1d(embedding_size)

    def forward(self, x: Tensor) -> Tensor:
        x = self.prelu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.features(self.fc(torch.flatten(self.bn2(x), 1)))
