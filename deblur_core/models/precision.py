"""Which device and which number format a network runs in here. Knows no network."""

import torch

from deblur_core.errors import SettingsError


def pick_device(name: str = "auto") -> torch.device:
    """'auto' (a GPU if there is one), 'cpu' or 'cuda'. Raises SettingsError when 'cuda' is asked for and absent."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise SettingsError("device 'cuda' was asked for, but torch sees no GPU here: use --device auto or cpu")
    if name not in ("cpu", "cuda"):
        raise SettingsError(f"device {name!r} is unknown: use auto, cpu or cuda")
    return torch.device(name)


def inference_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies it natively, float32 elsewhere (emulated bf16 is slower than fp32)."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    capability = torch.backends.cpu.get_cpu_capability()
    native = capability.startswith("AVX512") and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if native or torch.cpu._is_amx_tile_supported() else torch.float32
