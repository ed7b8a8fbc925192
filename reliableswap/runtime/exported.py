"""Run exported networks with NumPy arrays. This module and its imports do not need torch."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from reliableswap.errors import ReliableSwapError, WeightsError

LIST = "exported.json"


class ExportedFile:
    """An .onnx or .xml file: takes float32 arrays in the order of the file's inputs, and returns float32 arrays."""

    def __init__(self, path: str | Path, threads: int = 0) -> None:
        """threads: 0 lets the library choose."""
        self.path = Path(path)
        if not self.path.is_file():
            raise WeightsError(f"no exported network at {path}; create one with `reliableswap export`")
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
        onnxruntime = _library("onnxruntime", "onnx")
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
        openvino = _library("openvino", "openvino")
        options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # several processes would all be pinned to the same cores
        }
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        model = openvino.Core().compile_model(str(self.path), "CPU", options)
        self.inputs = [port.any_name for port in model.inputs]
        self.outputs = [port.any_name for port in model.outputs]
        request, lock = model.create_infer_request(), Lock()

        def run(arrays: list[np.ndarray]) -> list[np.ndarray]:
            with lock:  # a request takes one caller at a time
                return [np.array(found) for found in request.infer(arrays).values()]

        self._run = run


class ExportedFolder(Mapping[str, ExportedFile]):
    """A folder that `reliableswap export` wrote: files by name, opened on first use, and metadata `about` each.

    about[name]: the class, its config, the shapes of its inputs, and its difference from torch.
    form: onnx or openvino. pipeline: what pipelines.exported needs of a whole pipeline, empty for a single network.
    """

    def __init__(self, folder: str | Path, threads: int = 0) -> None:
        self.folder, self.threads = Path(folder), threads
        try:
            content = json.loads((self.folder / LIST).read_text("utf-8"))
            self.about: dict[str, dict[str, Any]] = content["files"]
            self.form: str = content["format"]
            self.pipeline: dict[str, Any] = content.get("pipeline", {})
        except FileNotFoundError as error:
            raise WeightsError(
                f"no {LIST} in {folder}; give a folder that `reliableswap export` wrote"
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise WeightsError(
                f"{LIST} in {folder} is damaged ({error!r}); export the folder again"
            ) from error
        self._opened: dict[str, ExportedFile] = {}
        self._locks = {name: Lock() for name in self.about}

    def __getitem__(self, name: str) -> ExportedFile:
        """Return a file by name; raise WeightsError if it has changed since it was exported."""
        with self._locks[name]:
            if name not in self._opened:
                path = self.folder / self.about[name]["file"]
                wanted = self.about[name].get("sha256")
                if wanted is not None and path.is_file() and file_digest(path) != wanted:
                    raise WeightsError(f"{path} has changed since it was exported; export the folder again")
                self._opened[name] = ExportedFile(path, self.threads)
            return self._opened[name]

    def __contains__(self, name: object) -> bool:
        return name in self.about  # without opening the file

    def __iter__(self) -> Iterator[str]:
        return iter(self.about)

    def __len__(self) -> int:
        return len(self.about)


def is_exported(place: str | os.PathLike[str] | None) -> bool:
    """Whether a folder was written by `reliableswap export`."""
    return place is not None and (Path(place) / LIST).is_file()


def file_digest(path: Path) -> str:
    """Return the hexadecimal SHA-256 of an exported file; for OpenVINO, of its .xml and .bin together."""
    digest = hashlib.sha256(path.read_bytes())
    weights = path.with_suffix(".bin")
    if path.suffix == ".xml" and weights.is_file():
        digest.update(weights.read_bytes())
    return digest.hexdigest()


def _library(name: str, extra: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ReliableSwapError(
            f"files of this format need {name}; run: pip install -e '.[{extra}]' in the repository"
        ) from error
