"""The errors a user can meet. Each message is one line: what is wrong, where, and what to do.

This file knows no stage, no library and no exit code but the meaning of each class: `UsageError` ends a run before
anything is written, `VideoError` ends one video and lets the others go on. All of them travel between processes, so
each carries nothing but its message.
"""


class RestoreArchiveError(Exception):
    """Anything this program says on purpose; the message is one line for a person."""


class UsageError(RestoreArchiveError):
    """The request cannot be carried out as given: the command ends with exit code 2 and nothing is written."""


class SettingsError(UsageError):
    """A setting is unknown, out of range or contradicts another."""


class WeightsError(UsageError):
    """A weights file is missing, is not the one that was released, or belongs to another architecture."""


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


class VerificationError(VideoError):
    """The rebuilt file differs from its source where it must not; it was not published."""

    stage = "publish"
