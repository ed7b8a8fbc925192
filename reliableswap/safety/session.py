"""ONNX networks of the gates, run on one CPU core by ONNX Runtime. A file with another checksum is an error."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def open_session(path: Path, sha256: str) -> Any:
    """Return an InferenceSession of a file whose checksum is known; raise OSError if it is another file."""
    import onnxruntime

    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise OSError(f"{path.name} has the SHA-256 {found[:16]}..., not {sha256[:16]}...")
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    # The gates run several networks side by side, one thread each.
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def file_of_package(package: str, name: str) -> Path:
    """Return a data file of an installed package, without importing the package."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ImportError(f"the package {package} is not installed")
    return Path(spec.origin).parent / name
