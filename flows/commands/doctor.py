"""`restore-archive doctor`: looks at everything a run needs here and says what to mend."""

import importlib.metadata
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from deblur_core.errors import RestoreArchiveError
from deblur_core.redaction import redacted
from deblur_core.storage.keys import printable
from flows.quiet import silenced_stderr
from flows.settings import Settings, origin_of, resolve_settings

_ENCODERS = ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "ffv1", "h264_nvenc")


@dataclass(frozen=True)
class Finding:
    """state: 'good', 'note' or 'bad'; remedy: what to do when it is bad."""

    what: str
    state: str
    detail: str
    remedy: str = ""


def doctor() -> int:
    """Prints findings and settings. Returns 0, or 2 when something must be mended."""
    console = Console()
    settings = resolve_settings()
    checks: tuple[Callable[[Settings], list[Finding]], ...] = (
        _versions, _weights, _gpu, _codecs, _storage, _ray, _prefect,
    )  # fmt: skip
    findings = [finding for check in checks for finding in check(settings)]
    table = Table("", "what", "found", "what to do")
    marks = {"good": "[green]✓[/green]", "note": "[yellow]·[/yellow]", "bad": "[red]✗[/red]"}
    for finding in findings:
        table.add_row(marks[finding.state], finding.what, Text(printable(finding.detail)), finding.remedy)
    console.print(table)
    console.print(_settings_table(settings))
    bad = sum(finding.state == "bad" for finding in findings)
    console.print(f"{bad} to mend" if bad else "All is well.")
    return 2 if bad else 0


def _settings_table(settings: Settings) -> Table:
    table = Table("setting", "value", "from", title="Settings")
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        words = " ".join(value) if isinstance(value, tuple) else str(value)
        table.add_row(name, Text(printable(words)), origin_of(name, {}))
    return table


def _versions(settings: Settings) -> list[Finding]:
    names = ("av", "torch", "ray", "prefect", "pyarrow", "boto3")
    detail = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    return [Finding("Python", "good", f"{platform.python_version()}; {detail}")]


def _weights(settings: Settings) -> list[Finding]:
    from deblur_core.models.registry import check_weights

    findings = [Finding("weights", "good", "as released")]
    try:
        check_weights(settings.restorer, settings.selector)
    except RestoreArchiveError as error:
        findings = [Finding("weights", "bad", str(error), "pip install --force-reinstall restore-archive")]
    if settings.weights:
        try:
            check_weights(settings.restorer, settings.selector, settings.weights)
            findings.append(Finding("own weights", "good", f"{settings.weights} fits {settings.restorer}"))
        except RestoreArchiveError as error:
            remedy = f"check the path: give what train or adapt wrote for {settings.restorer}, or leave weights out"
            findings.append(Finding("own weights", "bad", str(error), remedy))
    return findings


def _gpu(settings: Settings) -> list[Finding]:
    import torch

    from deblur_core.models.precision import inference_dtype, pick_device

    if torch.cuda.is_available():
        detail = ", ".join(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))
        return [Finding("GPU", "good", f"{detail}; {inference_dtype(torch.device('cuda'))}")]
    if settings.device == "cuda" and settings.ray_address == "local":
        return [Finding("GPU", "bad", "device is 'cuda' and torch sees none", "install the driver and a CUDA torch")]
    precision = inference_dtype(pick_device("cpu"))
    return [Finding("GPU", "note", f"none; the CPU works in {precision} on {torch.get_num_threads()} threads")]


def _codecs(settings: Settings) -> list[Finding]:
    from deblur_core.video.encoder_probe import can_encode

    findings = []
    for name in _ENCODERS:
        with silenced_stderr():  # x265 and SVT-AV1 introduce themselves
            works = can_encode(name)
        optional = name == "h264_nvenc"
        state = "good" if works else ("note" if optional else "bad")
        detail = "encodes" if works else "cannot open here"
        findings.append(Finding(name, state, detail, "" if works or optional else "reinstall av (PyAV)"))
    return findings


def _storage(settings: Settings) -> list[Finding]:
    from flows.commands.doctor_places import PLACES, check_place

    findings = []
    for name in PLACES:
        url = getattr(settings, name)
        if url is None:
            continue
        try:
            check_place(name, settings)
            findings.append(Finding(name, "good", f"{url} answers"))
        except RestoreArchiveError as error:
            findings.append(Finding(name, "bad", str(error), "check the place, the rights and AWS_…"))
    endpoint = redacted(os.environ.get("AWS_ENDPOINT_URL", ""))
    if not findings:
        detail = f"endpoint {endpoint}" if endpoint else "no source or destination set; give them to have them checked"
        findings.append(Finding("S3", "note", detail))
    return findings


def _ray(settings: Settings) -> list[Finding]:
    from flows.cluster import ray_session

    try:
        with ray_session(settings.ray_address):
            import ray

            resources = ray.cluster_resources()
    except RestoreArchiveError as error:
        return [Finding("Ray", "bad", str(error), "start the cluster or set ray_address to local")]
    cores, gpus = resources.get("CPU", 0), resources.get("GPU", 0)
    return [Finding("Ray", "good", f"{settings.ray_address}: {cores:.0f} cores, {gpus:.0f} GPUs")]


def _prefect(settings: Settings) -> list[Finding]:
    url = os.environ.get("PREFECT_API_URL")
    if url is None:
        return [Finding("Prefect", "note", "no PREFECT_API_URL: the command line embeds a server of its own")]
    import httpx

    try:
        answer = httpx.get(f"{url.rstrip('/')}/health", timeout=5.0)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        told = redacted(f"{url}: {error}")
        return [Finding("Prefect", "bad", told, "start the server (prefect server start)")]
    return [Finding("Prefect", "good", f"{redacted(url)} answers")]
