"""Run networks by PyTorch, OpenVINO or ONNX Runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import Runtime

DEVICES = ("openvino", "onnx")  # device names that stand for a runtime instead of a torch device


def for_device(name: str) -> type[Runtime] | None:
    """Return the runtime that a device name stands for, or None if it names a torch device.

    Call the returned class with a float32 network on the CPU. Raise if the runtime's library is not installed.
    """
    if name == "openvino":
        from . import openvino

        openvino.library()
        return openvino.OpenVino
    if name == "onnx":
        from . import onnx

        onnx.library()
        return onnx.OnnxRuntime
    return None
