"""Layout: which network a published checkpoint holds, and how its tensor names map to ours."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from reliableswap.models.base import Network

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Layout:
    """A published network: our class for it, its config by the shapes of its tensors, and the mapping of names.

    Their names and ours differ only in a prefix, so `names` maps their prefixes to ours.
    """

    network: type[Network]
    variant: str
    config: dict[str, Any]
    names: dict[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()  # prefixes of tensors that the published network never reads

    def is_unused(self, theirs: str) -> bool:
        return theirs.startswith(self.unused)

    def ours(self, theirs: str) -> str:
        return _replace_prefix(theirs, self.names)

    def theirs(self, ours: str) -> str:
        return _replace_prefix(ours, {mine: their for their, mine in self.names.items()})


def count(tensors: Tensors, pattern: str) -> int:
    """Count the tensors named pattern.format(0), pattern.format(1) and so on."""
    number = 0
    while pattern.format(number) in tensors:
        number += 1
    return number


def _replace_prefix(name: str, beginnings: dict[str, str]) -> str:
    """Replace the longest listed prefix; prefixes end at dots."""
    parts = name.split(".")
    for end in range(len(parts), -1, -1):
        beginning = ".".join(parts[:end])
        if beginning in beginnings:
            return ".".join(filter(None, [beginnings[beginning], *parts[end:]]))
    return name
