"""OnnxNetwork: a third-party network, an ONNX file beside its config.json, run by ONNX Runtime."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HFValidationError
from torch import Tensor

from reliableswap.errors import WeightsError

from .base import Network

logger = logging.getLogger(__name__)

FILE = "network.onnx"  # the name in a folder written by save_pretrained
_HUB_OPTIONS = ("cache_dir", "force_download", "local_files_only", "revision", "token")


class OnnxNetwork(Network):
    """A network whose layers are an ONNX file, with a few tensors of its own as safetensors beside it.

    Its config has `sha256`, the file's digest, and `onnx_parameters`, the number of the file's weights. It runs on the
    CPU, or by ONNX Runtime's CUDA provider after a move to a GPU. It has no gradients, and cannot be compiled, exported
    or trained.
    """

    runs_itself: ClassVar[bool] = True
    checksum_settings: ClassVar[tuple[str, ...]] = ("sha256",)

    def __init__(self) -> None:
        super().__init__()
        self._path: Path | None = None
        self._sessions: dict[str, Any] = {}
        self._lock = threading.Lock()

    @property
    def path(self) -> Path:
        """The ONNX file."""
        if self._path is None:
            raise WeightsError(
                f"this {type(self).__name__} has no ONNX file; load it with from_pretrained, or create it with "
                "`reliableswap convert`"
            )
        return self._path

    @property
    def parameter_count(self) -> int:
        return int(self.config["onnx_parameters"])

    def attach(self, path: str | os.PathLike[str]) -> Self:
        """Use this ONNX file; raise unless it is the one that the config belongs to."""
        found = sha256(Path(path))
        if found != self.config["sha256"]:
            raise WeightsError(
                f"{path} is not the file that config.json was written for (SHA-256 {found[:16]}…, not "
                f"{self.config['sha256'][:16]}…); convert it again"
            )
        self._path, self._sessions = Path(path), {}
        return self

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> Self:
        """Load from a folder or a Hub repository that `save_pretrained` wrote."""
        network = super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        place, below = Path(pretrained_model_name_or_path), kwargs.get("subfolder") or ""
        if place.is_dir():
            path = place / below / FILE
        else:
            options = {name: kwargs[name] for name in _HUB_OPTIONS if kwargs.get(name) is not None}
            try:
                path = Path(hf_hub_download(str(place), FILE, subfolder=below or None, **options))
            except (OSError, EntryNotFoundError, HFValidationError) as error:
                raise WeightsError(
                    f"can't load {FILE} from {place}: {error}; check the connection and the repository"
                ) from error
        if not path.is_file():
            raise WeightsError(f"{path} is missing; convert the ONNX file again to restore it")
        return network.attach(path)

    def save_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """Write config.json and safetensors, and copy the ONNX file into the same folder, so that it is complete."""
        source, folder = self.path, Path(save_directory)
        super().save_pretrained(save_directory, **kwargs)
        if not ((folder / FILE).exists() and (folder / FILE).samefile(source)):
            shutil.copyfile(source, folder / FILE)

    def infer(self, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        """Run the file on one sample, inputs by name; return its outputs as float32 tensors on the CPU."""
        session = self._session()
        kinds = {
            one.name: np.float16 if one.type == "tensor(float16)" else np.float32
            for one in session.get_inputs()
        }
        arrays = {
            name: np.ascontiguousarray(tensor.detach().float().cpu().numpy()).astype(kinds[name], copy=False)
            for name, tensor in inputs.items()
        }
        with self._lock:
            found = session.run(None, arrays)
        return [torch.from_numpy(np.asarray(array, np.float32)) for array in found]

    def _session(self) -> Any:
        kind = self.device.type
        with self._lock:
            if kind not in self._sessions:
                self._sessions[kind] = open_session(self.path, kind)
        return self._sessions[kind]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out sessions and lock: a copy, or another process, opens the file itself."""
        return {**self.__dict__, "_sessions": {}, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._lock = threading.Lock()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def open_session(path: Path, device: str = "cpu") -> Any:
    """Open an ONNX Runtime session on the CPU, or on CUDA if `device` is "cuda" and the library supports it."""
    import onnxruntime

    providers = ["CPUExecutionProvider"]
    if device == "cuda":
        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            providers.insert(0, "CUDAExecutionProvider")
        else:
            logger.warning(
                "%s runs on the CPU: this ONNX Runtime has no CUDA; install onnxruntime-gpu", path.name
            )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors only: it would warn about unused initializers in published files
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # the library's errors have no common class
        reason = " ".join(str(error).split())[:300].rstrip(".")
        raise WeightsError(f"ONNX Runtime can't open {path}: {reason}; is the file complete?") from error
