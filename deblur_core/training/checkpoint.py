"""A training run on disk: everything that it needs to go on as if it had never been stopped. Nothing is unpickled.

One safetensors file: the network, its moving average and the optimisers' moments as tensors, the rest as JSON in the
header. It is written beside and renamed, so that a kill at any moment leaves the last whole one.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from deblur_core.errors import WeightsError

_MOMENTS = ("exp_avg", "exp_avg_sq")


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
    """Writes tensors and progress (what JSON can hold) atomically."""
    draft = path.with_name(path.name + ".part")
    owned = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    save_file(owned, str(draft), metadata={"progress": json.dumps(progress)})
    draft.replace(path)


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and progress of a checkpoint. Raises WeightsError when the file is no checkpoint of ours."""
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            return {name: file.get_tensor(name) for name in file.keys()}, json.loads(metadata["progress"])  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as cause:
        raise WeightsError(f"{path} is no checkpoint of a training run ({cause}): remove it to start anew") from cause


def optimiser_tensors(optimiser: torch.optim.Optimizer, module: nn.Module, prefix: str) -> dict[str, Tensor]:
    """Adam's moments and steps by parameter name."""
    out: dict[str, Tensor] = {}
    for name, parameter in module.named_parameters():
        state = optimiser.state.get(parameter)
        if state:
            out |= {f"{prefix}{moment}.{name}": state[moment] for moment in _MOMENTS}
            out[f"{prefix}step.{name}"] = state["step"]
    return out


def restore_optimiser(
    optimiser: torch.optim.Optimizer, module: nn.Module, tensors: Mapping[str, Tensor], prefix: str
) -> None:
    """Gives an optimiser the state that `optimiser_tensors` took."""
    for name, parameter in module.named_parameters():
        if f"{prefix}step.{name}" in tensors:
            state = {moment: tensors[f"{prefix}{moment}.{name}"].to(parameter.device) for moment in _MOMENTS}
            # Kept in the parameter's own memory layout, so that a resumed step adds up in the same order.
            state = {key: torch.empty_like(parameter).copy_(value) for key, value in state.items()}
            optimiser.state[parameter] = {"step": tensors[f"{prefix}step.{name}"].clone(), **state}
