"""Every setting of a run, validated once, for the command line, the flow's parameters and the workers alike.

Precedence: argument, environment (`RESTORE_…`), `restore.toml` in the working directory, default. Knows no flow.
"""

import os
import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from pydantic_settings import SettingsError as SettingsSourceError

from deblur_core.errors import SettingsError
from deblur_core.models.registry import RESTORERS, SELECTORS
from deblur_core.models.weights_file import own_weights_hash
from workers.job import RestoreOptions

PREFIX = "RESTORE_"
TOML_FILE = Path("restore.toml")
_MOST_CRF, _WIDE_CRF = 51, ("vp9", "av1")
_OF_KUBERNETES = re.compile(r"(_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT(_\d+_[A-Z]+(_(PROTO|PORT|ADDR))?)?)$")
"""How the names end that a pod gets for each service of its namespace: RESTORE_ARCHIVE_HEAD_SVC_SERVICE_HOST."""


class Settings(BaseSettings):
    """Names are those of the command line's options, with `_` for `-`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, toml_file=TOML_FILE, extra="forbid", frozen=True)

    source: str | None = Field(None, description="file, folder or s3://bucket/prefix with the archive")
    destination: str | None = Field(None, description="file, folder or s3://bucket/prefix for the restored archive")
    work: str | None = Field(None, description="folder or s3://… for temporary data; default DESTINATION/_restore/work")
    restorer: str = Field("default", description="which restorer")
    weights: str | None = Field(None, description="weights of your own for it, .safetensors: from train or adapt")
    selector: str = Field("default", description="which selector")
    threshold: float = Field(0.5, ge=0.0, le=1.0, description="blur probability from which a frame counts as blurred")
    stride: int = Field(1, ge=1, le=1000, description="measure the middle frame of every N and give its label to all")
    slow_motion: int = Field(1, ge=1, le=99, description="moments that a restored frame becomes: 7, or 1 for one frame")
    reencode: bool = Field(False, description="encode untouched stretches of a restored video again, too")
    codec: Literal["auto", "h264", "hevc", "av1", "vp9", "ffv1"] = Field("auto", description="codec of rebuilt videos")
    crf: float | None = Field(
        None, ge=0, le=63, description="quality of restored frames, lower is better: 0 to 51; 63 with vp9 or av1"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where networks run")
    segment_frames: int = Field(300, ge=1, le=100_000, description="frames a segment has at most")
    shard_videos: int = Field(200, ge=1, description="videos a Prefect task takes care of")
    deadline_factor: float = Field(
        1.0, gt=0, le=1000, description="times how long a call, or an actor's start, may take before it is ended"
    )
    ray_address: str = Field("local", description="'local' starts Ray here; 'auto' or host:port joins a cluster")
    video_suffixes: tuple[str, ...] = Field(
        (
            ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".ts", ".m2ts", ".mts", ".avi", ".mpg", ".mpeg", ".mjpeg",
            ".mjpg", ".flv", ".3gp", ".mxf", ".wmv", ".vob", ".ogv",
        ),
        description="file names that make a file part of the archive",
    )  # fmt: skip

    @field_validator("restorer")
    @classmethod
    def _restorer_exists(cls, name: str) -> str:
        if name not in RESTORERS:
            raise ValueError(f"unknown restorer {name!r}: there is {', '.join(RESTORERS)}")
        return name

    @field_validator("selector")
    @classmethod
    def _selector_exists(cls, name: str) -> str:
        if name not in SELECTORS:
            raise ValueError(f"unknown selector {name!r}: there is {', '.join(SELECTORS)}")
        return name

    @field_validator("crf")
    @classmethod
    def _crf_fits_the_codec(cls, crf: float | None, info: ValidationInfo) -> float | None:
        """An archive may hold any codec, so a quality that only some encoders have wants one of these by name."""
        if crf is not None and crf > _MOST_CRF and info.data.get("codec", _WIDE_CRF[0]) not in _WIDE_CRF:
            raise ValueError(f"use 0 to {_MOST_CRF}, or up to 63 where --codec names {' or '.join(_WIDE_CRF)}")
        return crf

    @field_validator("video_suffixes")
    @classmethod
    def _suffixes_are_lower(cls, suffixes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f".{suffix.lower().lstrip('.')}" for suffix in suffixes)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Argument before environment before file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    def restore_options(self) -> RestoreOptions:
        """What of it decides the result.

        Raises SettingsError for slow motion that the restorer cannot give, WeightsError for unreadable weights.
        """
        return RestoreOptions(
            restorer=self._chosen_restorer(),
            weights=str(Path(self.weights).absolute()) if self.weights else None,
            weights_sha256=own_weights_hash(Path(self.weights)) if self.weights else None,
            selector=self.selector,
            threshold=self.threshold,
            stride=self.stride,
            codec=self.codec,
            crf=self.crf,
            segment_frames=self.segment_frames,
            slow_motion=self.slow_motion,
            reencode=self.reencode,
        )

    def _chosen_restorer(self) -> str:
        """The one that was named; if none was, the one that gives what slow motion asks for."""
        if self.slow_motion == 1:
            return self.restorer
        from deblur_core.moments import restorer_giving  # loads torch

        return restorer_giving(self.slow_motion, self.restorer if "restorer" in self.model_fields_set else None)


def resolve_settings(**arguments: Any) -> Settings:
    """Settings from arguments (None means not given), environment, file and defaults.

    Raises SettingsError in one line that names the setting, where it came from and what it may be.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    _refuse_unknown_variables()
    try:
        return Settings(**given)
    except ValidationError as error:
        problem = error.errors()[0]
        name = str(problem["loc"][0]) if problem["loc"] else "setting"
        message = str(problem["msg"]).removeprefix("Value error, ")
        origin = origin_of(name, given)
        if problem["type"] == "extra_forbidden":
            raise _no_setting(name, name, origin) from error
        raise SettingsError(f"{name} = {problem['input']!r} (from the {origin}): {message}") from error
    except SettingsSourceError as error:
        raise SettingsError(f'{error} (the environment): write a list as JSON, such as [".mp4", ".mov"]') from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"{TOML_FILE.absolute()} is not valid TOML: {error}") from error


def check_device(settings: Settings) -> None:
    """Raises SettingsError where a run on this machine alone wants a GPU that is not here.

    What a cluster has is for its actors to find out.
    """
    if settings.device == "cuda" and settings.ray_address == "local":
        from deblur_core.models.precision import pick_device  # loads torch

        pick_device(settings.device)


def _refuse_unknown_variables() -> None:
    for variable in os.environ:
        name = variable.upper().removeprefix(PREFIX).lower()
        is_ours = variable.upper().startswith(PREFIX) and not _OF_KUBERNETES.search(variable)
        if is_ours and name not in Settings.model_fields:
            raise _no_setting(variable, name, "environment")


def _no_setting(written: str, name: str, origin: str) -> SettingsError:
    near = get_close_matches(name, Settings.model_fields, 1)
    spelt = [f"{PREFIX}{each.upper()}" if origin == "environment" else each for each in near or Settings.model_fields]
    hint = f"did you mean {spelt[0]}?" if near else f"there is {', '.join(spelt)}"
    return SettingsError(f"{written} (from the {origin}) is no setting: {hint}")


def origin_of(name: str, arguments: dict[str, Any]) -> str:
    """Where a setting's value comes from: 'argument', 'environment', 'file restore.toml' or 'default'."""
    if name in arguments:
        return "argument"
    if any(key.upper() == f"{PREFIX}{name.upper()}" for key in os.environ):
        return "environment"
    if TOML_FILE.is_file() and name in tomllib.loads(TOML_FILE.read_text()):
        return f"file {TOML_FILE}"
    return "default"
