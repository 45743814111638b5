"""A model as bytes: arrays and numbers only, so that nothing can run when it is read."""

import io
import json
from typing import Any, Final

import numpy as np

from app.errors import ModelError
from models.isolation_forest import IsolationForest
from models.supervised import Ranker
from models.trees import Trees

Model = IsolationForest | Ranker

ISOLATION_FOREST: Final = "isolation_forest"
RANKER: Final = "supervised"

_ARRAYS: Final = ("nodes", "value", "roots", "depths")


def kind_of(model: Model) -> str:
    """What a model is called in the registry."""
    return ISOLATION_FOREST if isinstance(model, IsolationForest) else RANKER


def pack(model: Model) -> bytes:
    """NumPy's zip of arrays; the same model gives the same bytes."""
    numbers: dict[str, Any] = {"kind": kind_of(model), "features_version": model.features_version}
    numbers |= {"samples": model.samples} if isinstance(model, IsolationForest) else {"start": model.start}
    head = np.frombuffer(json.dumps(numbers, sort_keys=True).encode(), dtype=np.uint8)
    out = io.BytesIO()
    np.savez_compressed(out, allow_pickle=False, head=head, **{name: getattr(model.trees, name) for name in _ARRAYS})
    return out.getvalue()


def unpack(data: bytes) -> Model:
    """The model; ModelError if the bytes are not one."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            head = json.loads(arrays["head"].tobytes())
            trees = Trees(*(arrays[name] for name in _ARRAYS))
        if head["kind"] == ISOLATION_FOREST:
            return IsolationForest(trees, head["samples"], head["features_version"])
        return Ranker(trees, head["start"], head["features_version"])
    except Exception as error:  # whatever zip, NumPy or JSON stumble over
        raise ModelError(f"the bytes are not those of a model: {error}") from None
