"""Ray without Ray: actors that answer when the test says so, and a clock that goes on only while nobody answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from workers import pipeline as pipeline_module
from workers import pool as pool_module
from workers.actors import ActorReport


@dataclass
class FakeRay:
    """answers: what `ray.get` gives, or raises, for each reference. answer: asked for one when a call is sent; None is
    never. Without it references are called after actor and video. ready: whether actors become so. seconds: of the
    clock, one more for each look that finds nothing."""

    nodes: set[str] = field(default_factory=lambda: {"node"})
    answers: dict[str, Any] = field(default_factory=dict)
    answer: Callable[[str, Any], Any] | None = None
    ready: bool = True
    sent: list[tuple[str, Any]] = field(default_factory=list)
    killed: list[str] = field(default_factory=list)
    started: int = 0
    seconds: float = 0.0

    def start(self, *_: Any) -> Any:
        actor, self.started = f"actor {self.started}", self.started + 1
        if self.ready:
            self.answers[f"{actor} ready"] = ActorReport("node", 1, "", "cpu")

        def run(stage: str, task: Any) -> str:
            self.sent.append((actor, task))
            if self.answer is None:
                return f"{actor} {task.video}"
            reference = f"call {len(self.sent)}"
            if (answer := self.answer(stage, task)) is not None:
                self.answers[reference] = answer
            return reference

        return SimpleNamespace(
            ready=SimpleNamespace(remote=lambda: f"{actor} ready"), run=SimpleNamespace(remote=run), name=actor
        )

    def get(self, reference: str) -> Any:
        answer = self.answers[reference]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def wait(self, references: Sequence[str], **_: Any) -> tuple[list[str], list[str]]:
        found = [reference for reference in references if reference in self.answers]
        self.seconds += not found
        return found, []

    def kill(self, actor: Any, **_: Any) -> None:
        self.killed.append(actor.name)

    def clock(self) -> float:
        return self.seconds

    def ticking(self) -> float:
        """A clock that also goes on whenever it is looked at."""
        self.seconds += 2.0
        return self.seconds


def installed(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    """In the place of Ray, for pool and pipeline."""
    fake = FakeRay()
    options = SimpleNamespace(options=lambda **_: SimpleNamespace(remote=fake.start))
    monkeypatch.setattr(pool_module, "StageActor", options)
    monkeypatch.setattr(pool_module, "living_nodes", lambda: fake.nodes)
    monkeypatch.setattr(pool_module, "ray", SimpleNamespace(get=fake.get, kill=fake.kill))
    resources = SimpleNamespace(wait=fake.wait, cluster_resources=lambda: {"CPU": 4.0, "memory": 64e9})
    monkeypatch.setattr(pipeline_module, "ray", resources)
    return fake
