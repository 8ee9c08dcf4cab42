"""What Ray's errors say of an actor's end: whether its process is known to be gone, and why, in words."""

from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    WorkerCrashedError,
)

LOSSES = (RayActorError, OutOfMemoryError, NodeDiedError, WorkerCrashedError, ObjectLostError)
"""An actor that raises one of these is of no more use."""

_OUT_OF_SIGHT = (ActorUnavailableError, NodeDiedError, ObjectLostError)


def is_proven(cause: RayError) -> bool:
    """Whether Ray knows that the process ended, and did not just lose sight of it."""
    return not isinstance(cause, _OUT_OF_SIGHT)


def in_words(cause: RayError | ConnectionError) -> str:
    """Why an actor was lost, for a person."""
    if isinstance(cause, OutOfMemoryError):
        return "its node ran out of memory"
    if isinstance(cause, ActorDiedError) and not cause.actor_init_failed:
        return "its process ended without an error: out of memory, or a crash in native code"
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return lines[-1] if lines else type(cause).__name__
