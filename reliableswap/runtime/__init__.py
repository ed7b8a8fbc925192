"""How networks run: by PyTorch, OpenVINO or ONNX Runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import Runtime

DEVICES = ("openvino", "onnx")  # names of devices that are not torch's


def for_device(name: str) -> type[Runtime] | None:
    """Return the runtime that a device name stands for, or None if the device is one of torch's.

    Call what is returned with a network in float32 on the CPU. A runtime whose library is not installed is an error.
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
