"""lab.yaml and what lies beside it, validated and typed. Nothing of a lab is executed here, its checks neither."""

from __future__ import annotations

from labs.definition.checks import CheckInfo
from labs.definition.lab import Lab, LabFile
from labs.definition.load import load_lab
from labs.definition.prediction import Option, Question, QuestionFile
from labs.definition.states import State, Step

__all__ = ["CheckInfo", "Lab", "LabFile", "Option", "Question", "QuestionFile", "State", "Step", "load_lab"]
