"""Exported networks, run with NumPy arrays. This module and what it imports do without torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reliableswap.errors import WeightsError

LIST = "exported.json"


class ExportedFile:
    """An .onnx or .xml file: float32 arrays in, in the order of the file's inputs, and float32 arrays out."""

    def __init__(self, path: str | Path, threads: int = 0) -> None:
        """threads: 0 for as many as the library chooses."""
        self.path = Path(path)
        if not self.path.is_file():
            raise WeightsError(f"no exported network at {path}; `reliableswap export` writes some")
        if self.path.suffix == ".onnx":
            self._open_onnx(threads)
        elif self.path.suffix == ".xml":
            self._open_openvino(threads)
        else:
            raise WeightsError(f"{path} is neither an .onnx nor an .xml file")

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        if len(inputs) != len(self.inputs):
            raise ValueError(f"{self.path} takes {', '.join(self.inputs)}; got {len(inputs)} arrays")
        arrays = [np.ascontiguousarray(array, np.float32) for array in inputs]
        return [np.asarray(found) for found in self._run(arrays)]

    def _open_onnx(self, threads: int) -> None:
        import onnxruntime

        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])
        self.inputs = [one.name for one in session.get_inputs()]
        self.outputs = [one.name for one in session.get_outputs()]
        self._run = lambda arrays: session.run(None, dict(zip(self.inputs, arrays, strict=True)))

    def _open_openvino(self, threads: int) -> None:
        import sys

        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # as in runtime/openvino.py
        import openvino

        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        model = openvino.Core().compile_model(str(self.path), "CPU", options)
        self.inputs = [port.any_name for port in model.inputs]
        self.outputs = [port.any_name for port in model.outputs]
        request = model.create_infer_request()
        self._run = lambda arrays: [np.array(found) for found in request.infer(arrays).values()]


class ExportedFolder(Mapping[str, ExportedFile]):
    """What `reliableswap export` wrote: files by name, opened when first asked for, and each one's `about`.

    about[name]: the class, its config, the shapes of its inputs, and how near it is to torch.
    """

    def __init__(self, folder: str | Path, threads: int = 0) -> None:
        self.folder, self.threads = Path(folder), threads
        try:
            self.about: dict[str, dict[str, Any]] = json.loads((self.folder / LIST).read_text("utf-8"))[
                "files"
            ]
        except FileNotFoundError as error:
            raise WeightsError(f"no {LIST} in {folder}; give a folder of `reliableswap export`") from error
        self._opened: dict[str, ExportedFile] = {}

    def __getitem__(self, name: str) -> ExportedFile:
        if name not in self._opened:
            self._opened[name] = ExportedFile(self.folder / self.about[name]["file"], self.threads)
        return self._opened[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.about)

    def __len__(self) -> int:
        return len(self.about)
