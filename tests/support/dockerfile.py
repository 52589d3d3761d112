"""Reads a Dockerfile: its stages with their instructions."""

import json
import re
import shlex
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction. name: in capitals. value: all after it, on one line."""

    name: str
    value: str

    def as_words(self) -> list[str] | None:
        """The words of the exec form; None for the shell form."""
        text = re.sub(r"^(--\S+\s+)*(CMD\s+)?", "", self.value) if self.name == "HEALTHCHECK" else self.value
        try:
            words = json.loads(text)
        except ValueError:
            return None
        return [str(word) for word in words] if isinstance(words, list) else None

    def as_pairs(self) -> dict[str, str]:
        """The names and values of ENV and LABEL."""
        return dict(word.split("=", 1) for word in shlex.split(self.value) if "=" in word)


@dataclass(slots=True)
class Stage:
    """The instructions from one FROM to the next. image: as written."""

    image: str
    instructions: list[Instruction] = field(default_factory=list)

    def find_all(self, name: str) -> list[Instruction]:
        """The instructions of this name."""
        return [each for each in self.instructions if each.name == name]

    def find(self, name: str) -> Instruction:
        """The last instruction of this name, which applies. Raises LookupError if there is none."""
        found = self.find_all(name)
        if not found:
            raise LookupError(f"there is no {name}")
        return found[-1]

    def environment(self) -> dict[str, str]:
        """All variables of ENV."""
        return {name: value for each in self.find_all("ENV") for name, value in each.as_pairs().items()}


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """arguments: the ARG instructions before the first FROM, with their defaults. The last stage is the image."""

    arguments: dict[str, str]
    stages: list[Stage]

    @property
    def image(self) -> Stage:
        """The stage whose result is the image."""
        return self.stages[-1]


def read_dockerfile(text: str) -> Dockerfile:
    """Parses the text. It knows what our own file uses: comments, continued lines, ARG and stages."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        name, _, value = line.partition(" ")
        instruction = Instruction(name.upper(), re.sub(r"\s+", " ", value.strip()))
        if instruction.name == "FROM":
            image = instruction.value.split(" ")[0]
            stages.append(Stage(re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], image)))
        elif stages:
            stages[-1].instructions.append(instruction)
        else:
            key, _, default = instruction.value.partition("=")
            arguments[key] = default
    return Dockerfile(arguments, stages)
