"""The errors a user can meet. Each message is one line: what is wrong, where, and what to do.

This file knows no stage, no library and no exit code but the meaning of each class: `UsageError` ends a run before
anything is written, `VideoError` ends one video and lets the others go on. All of them travel between processes, so
each carries nothing but its message.
"""


class RestoreArchiveError(Exception):
    """Anything this program says on purpose; the message is one line for a person."""


class UsageError(RestoreArchiveError):
    """The request cannot be carried out as given: the command ends with exit code 2 and nothing is written."""


class BusyDestinationError(UsageError):
    """Another run writes into the destination; the message names it."""


class SettingsError(UsageError):
    """A setting is unknown, out of range or contradicts another."""


class WeightsError(UsageError):
    """A weights file is missing, is not the one that was released, or belongs to another architecture."""


class LeaseLostError(RestoreArchiveError):
    """Another run took this one for dead and writes into the destination now; this one ends and leaves it to it."""


class WorkersLostError(RestoreArchiveError):
    """What runs all workers has ended under the run; what was done is kept."""


class StorageError(RestoreArchiveError):
    """An object store refused or failed; the message names the location and the cause."""


class ObjectNotFoundError(StorageError):
    """No object has this key."""


class AccessDeniedError(StorageError):
    """The store knows the request and forbids it: wrong credentials, missing rights, or a bucket of someone else."""


class BucketNotFoundError(StorageError):
    """The bucket, or the folder that stands for it, does not exist."""


class ObjectChangedError(StorageError):
    """The object is no longer the one that was planned for: its ETag changed while it was being read."""


class OccupiedNameError(StorageError):
    """Something that this program did not publish lies where a video is to be published; it is left as it is."""


class UnavailableError(StorageError):
    """The store did not answer, broke off, or asked to be left alone: the same request may succeed a little later."""


class StorageFullError(StorageError):
    """There is no room left where something was to be written; room may come, and nothing half-written is visible."""


class DeviceMemoryError(RestoreArchiveError):
    """The GPU has no memory left for what is to be done there; something else holds it, and may give it back."""


class VideoError(RestoreArchiveError):
    """One video cannot be restored; the others go on. `stage` names where it failed in the summary."""

    stage = "restore"


class NotAVideoError(VideoError):
    """The file has a video's name but no readable video stream."""

    stage = "plan"


class DamagedVideoError(VideoError):
    """The file is a video but is truncated, corrupt, or does not decode to the frames that its index promises."""

    stage = "plan"


class DeclinedVideoError(VideoError):
    """The file is sound but holds something this program cannot carry over exactly, so it does not touch it."""

    stage = "declined"


class WorkerKilledError(VideoError):
    """A call for this video ended its worker's process again and again; it is set aside so that the others go on."""


class DeadlineError(VideoError):
    """A call for this video did not come to an end again and again; it is set aside so that the others go on."""


class LimitError(DeclinedVideoError):
    """The file asks for more than any video may have (`deblur_core.video.limits`): size, length, number, or what its
    bytes unpack to."""


class VerificationError(VideoError):
    """The rebuilt file differs from its source where it must not; it was not published."""

    stage = "publish"


def runs_until_final(error: BaseException) -> int | None:
    """After how many runs in a row that a video failed of this it is not tried again with the same source, models and
    settings: 1 where the file itself is the cause, None (never) where something outside it is, which may be mended.

    What should not happen, or may be the machine's fault (a killed worker, a failed check), gets some runs more.
    """
    if isinstance(error, (StorageError, DeviceMemoryError)):
        return None
    return 1 if isinstance(error, (NotAVideoError, DamagedVideoError, DeclinedVideoError)) else 3


def may_pass(error: BaseException) -> bool:
    """Whether the same thing, tried again a little later, may succeed without anybody doing anything about it."""
    return isinstance(error, (UnavailableError, StorageFullError, DeviceMemoryError))
