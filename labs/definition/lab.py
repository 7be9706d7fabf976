"""A lab: what ``lab.yaml`` may say, and the typed object everything else works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from labs import yamlfile
from labs.clusters.provider import ClusterSpec, Fault, Feature, Needs, UnknownImages
from labs.definition.certificate import FILE as CERTIFICATE
from labs.definition.certificate import Certificate, read_certificate
from labs.definition.checks import CheckInfo, read_checks
from labs.definition.prediction import Name as QuestionName
from labs.definition.prediction import Option, Question, QuestionFile
from labs.definition.rulings import Ruling, read_rulings
from labs.definition.states import State, StateFile
from labs.definition.validation import validated
from labs.errors import Malformed
from labs.parameters import Parameter, UnknownParameter, Value, draw, fill

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
ParameterName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,40}$")]


class NeedsFile(BaseModel):
    """``needs`` of a lab."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nodes: Annotated[int, Field(ge=1, le=3)] = 1
    faults: list[Fault] = []
    metrics: bool = False
    features: list[Feature] = []
    kubernetes: Annotated[str, StringConstraints(pattern=r"^1\.\d{1,2}$")] = "1.20"
    images: UnknownImages = "strict"


class LabFile(BaseModel):
    """``lab.yaml``; every field is described in docs/authoring.md."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Text
    goal: Text
    level: Literal["beginner", "intermediate", "advanced"]
    minutes: Annotated[int, Field(ge=1, le=600)]
    points: Annotated[float, Field(gt=0, le=1000)]
    order: int = 100
    namespace: Name = "default"
    needs: NeedsFile = NeedsFile()
    images: list[Text] = []
    limit: Annotated[float, Field(ge=5, le=3600)] = 300.0
    parameters: dict[ParameterName, Parameter] = {}
    thresholds: dict[str, float | int | str | bool] = {}
    collateral: bool = False
    hints: dict[str, Annotated[list[Text], Field(min_length=1)]] = {}
    what_if_from: Annotated[int, Field(ge=1)] | None = None
    predict: Annotated[dict[QuestionName, QuestionFile], Field(max_length=20)] = {}
    requirements: dict[str, Annotated[list[Text], Field(min_length=1)]] = {}


@dataclass(frozen=True)
class Lab:
    """A validated lab. ``name`` is its folder's; ``version`` a hash of everything a verdict depends on."""

    name: str
    folder: Path
    file: LabFile
    version: str

    @property
    def title(self) -> str:
        """What it is called."""
        return self.file.title

    @property
    def goal(self) -> str:
        """What one can do afterwards, in a sentence."""
        return self.file.goal

    @property
    def level(self) -> str:
        """beginner, intermediate or advanced."""
        return self.file.level

    @property
    def minutes(self) -> int:
        """How long a learner takes."""
        return self.file.minutes

    @property
    def points(self) -> float:
        """The sum of its checks' points, and of its questions'."""
        return self.file.points

    @property
    def namespace(self) -> str:
        """Where the learner works."""
        return self.file.namespace

    @property
    def limit(self) -> float:
        """Seconds that a grading run may take."""
        return self.file.limit

    @property
    def thresholds(self) -> dict[str, Any]:
        """What checks measure against."""
        return dict(self.file.thresholds)

    @property
    def what_if_from(self) -> int | None:
        """From which attempt on learners are told what one change would have made of a failed check; None: never."""
        return self.file.what_if_from

    @cached_property
    def needs(self) -> Needs:
        """What it needs of a cluster."""
        needs = self.file.needs
        major, minor = needs.kubernetes.split(".")
        version, features = (int(major), int(minor)), frozenset(needs.features)
        return Needs(needs.nodes, frozenset(needs.faults), needs.metrics, version, features)

    @property
    def topology(self) -> str:
        """Stem of the smallest topology that has enough nodes."""
        return "single" if self.file.needs.nodes == 1 else "three-node"

    @property
    def checks_file(self) -> Path:
        """Its ``checks.py``."""
        return self.folder / "checks.py"

    @cached_property
    def checks(self) -> list[CheckInfo]:
        """Its checks, in order."""
        return read_checks(self.checks_file)

    @cached_property
    def states(self) -> list[State]:
        """Its states: solved, alternatives, broken ones, each group by name. :class:`Malformed`."""
        order = {"solved": 0, "alternative": 1, "broken": 2}
        folders = [path.parent for path in (self.folder / "states").glob("*/state.yaml")]
        states = [State(folder.name, folder, _state_file(folder / "state.yaml")) for folder in folders]
        return sorted(states, key=lambda state: (order.get(state.kind, 3), state.name))

    @property
    def right_states(self) -> list[State]:
        """Those that every check must pass."""
        return [state for state in self.states if state.kind in ("solved", "alternative")]

    @cached_property
    def rulings(self) -> list[Ruling]:
        """What its author says of changes that the requirements leave undecided; :class:`Malformed`."""
        return read_rulings(self.folder)

    @property
    def certificate_file(self) -> Path:
        """Its ``certificate.json``."""
        return self.folder / CERTIFICATE

    @cached_property
    def certificate(self) -> Certificate | None:
        """How often its checks were wrong when that was last tried, or None; :class:`Malformed`."""
        return read_certificate(self.folder)

    def parameters_for(self, seed: str) -> dict[str, Value]:
        """The parameters' values for a seed (see :func:`labs.parameters.seed_of`)."""
        return draw(self.file.parameters, seed)

    def fill(self, text: str, parameters: Mapping[str, Any]) -> str:
        """A text with parameters, and ``${namespace}``, filled in; :class:`labs.parameters.UnknownParameter`."""
        return fill(text, {"namespace": self.namespace, **parameters})

    def instructions(self, parameters: Mapping[str, Any]) -> str:
        """The learner's instructions, Markdown, parameters filled in."""
        return self.filled(self.folder / "instructions.md", parameters)

    def hints(self, check: str, parameters: Mapping[str, Any]) -> list[str]:
        """A check's hints in order of strength, parameters filled in; [] when it has none."""
        return [self.fill(hint, parameters) for hint in self.file.hints.get(check, [])]

    def questions(self, parameters: Mapping[str, Any]) -> list[Question]:
        """What is to be predicted, in order, parameters filled in."""
        return [
            Question(
                name=name,
                text=self.fill(one.question, parameters),
                options=tuple(
                    Option(key, self.fill(it.text, parameters), it.misconception, self.fill(it.feedback, parameters))
                    for key, it in one.options.items()
                ),
                answer=one.answer or "",
                points=one.points,
            )
            for name, one in self.file.predict.items()
        ]

    @property
    def measured(self) -> dict[str, list[str]]:
        """The questions of which checks say what happened, each with its options."""
        return {name: list(one.options) for name, one in self.file.predict.items() if one.answer is None}

    def setup(self, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The manifests of the starting state, in the order of their files' names, parameters filled in."""
        files = sorted(path for path in (self.folder / "setup").glob("*") if path.suffix in (".yaml", ".yml", ".json"))
        return [manifest for path in files for manifest in self.manifests(path, parameters)]

    def manifests(self, path: Path, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The objects of one manifest file of this lab."""
        documents = yamlfile.parse(self.filled(path, parameters), path)
        for document in documents:
            value = document.value
            if not isinstance(value, dict) or not value.get("kind") or not value.get("apiVersion"):
                raise Malformed(path, document.line(()), "expected a Kubernetes object with apiVersion and kind")
        return [document.value for document in documents]

    def filled(self, path: Path, parameters: Mapping[str, Any]) -> str:
        """A text file of this lab with parameters filled in; :class:`Malformed` for one that is not there."""
        try:
            return self.fill(yamlfile.read_text(path), parameters)
        except UnknownParameter as error:
            raise Malformed(path, error.line, str(error)) from error

    def spec(self, cluster: str, parameters: Mapping[str, Any], labels: Mapping[str, str]) -> ClusterSpec:
        """The cluster that a session of this lab wants."""
        setup, needs, images = self.setup(parameters), self.needs, tuple(self.file.images)
        unknown = self.file.needs.images
        return ClusterSpec(cluster, self.topology, images, setup, dict(labels), unknown, needs.metrics, needs.features)


def _state_file(path: Path) -> StateFile:
    return validated(StateFile, yamlfile.read(path), path)
