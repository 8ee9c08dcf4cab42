"""The versions of what makes a result: this program, the libraries that decode and encode, those that compute."""

import platform
from importlib.metadata import version

import av

PROGRAM = "restore-archive"
_DISTRIBUTIONS = {"numpy": "numpy", "opencv": "opencv-python-headless", "torch": "torch"}


def program_version() -> str:
    """Of this program, as installed."""
    return version(PROGRAM)


def making_version() -> str:
    """What decides whether a file can be read and written: another one may succeed where this one failed."""
    return f"{PROGRAM} {program_version()}, PyAV {av.__version__}, FFmpeg {av.ffmpeg_version_info}"


def versions() -> dict[str, str]:
    """By name; of FFmpeg the libraries that PyAV brings along."""
    libraries = {name: ".".join(map(str, numbers)) for name, numbers in av.library_versions.items()}
    computing = {name: version(distribution) for name, distribution in _DISTRIBUTIONS.items()}
    return {
        PROGRAM: program_version(),
        "python": platform.python_version(),
        "pyav": av.__version__,
        "ffmpeg": av.ffmpeg_version_info,
        **{name: libraries[name] for name in ("libavcodec", "libavformat", "libavutil")},
        **computing,
    }
