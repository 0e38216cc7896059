"""Every check of assemblies catches a pipeline that is broken in its way."""

import re
from typing import Any

import pytest
from broken import complaint, conforms, names
from diffusers import DiffusionPipeline, UNet2DConditionModel
from torch import nn

from anifacediff.checkpoint import load_pretrained
from anifacediff.testing import AssemblyCase, tiny_unet
from anifacediff.testing.assemblies import CHECKS


class Plain(DiffusionPipeline):
    """A conformant pipeline of one part."""

    def __init__(self, unet: Any):
        super().__init__()
        self.register_modules(unet=unet)

    @classmethod
    def untrained(cls) -> "Plain":
        return cls(tiny_unet())

    @classmethod
    def from_pretrained(cls, folder: Any, **options: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return cls(load_pretrained(UNet2DConditionModel, folder, subfolder="unet").eval())


class Partless(Plain):
    def __init__(self, safety_checker: Any = None):
        DiffusionPipeline.__init__(self)
        self.register_modules(safety_checker=None)

    @classmethod
    def untrained(cls) -> "Partless":
        return cls()


class Training(Plain):
    def __init__(self, unet: Any):
        super().__init__(unet.train())


class Resetting(Plain):
    @classmethod
    def from_pretrained(cls, folder: Any, **options: Any) -> Any:
        made = super().from_pretrained(folder)
        nn.init.zeros_(made.unet.conv_in.weight)
        return made


class Untyped(Plain):
    @classmethod
    def from_pretrained(cls, folder: Any, **options: Any) -> Any:
        made = cls.untrained()
        try:
            return super().from_pretrained(folder)
        except Exception:
            return made


BROKEN: list[tuple[str, type[Any], str]] = [
    ("is_a_pipeline_of_parts", Partless, "no network is registered"),
    ("is_a_pipeline_of_parts", Training, "unet are in training mode"),
    ("survives_saving_and_loading", Resetting, "unet: the loaded weights are not those"),
    ("damaged_weights_are_refused", Untyped, "raised nothing"),
]


def test_a_pipeline_without_faults_conforms():
    assert conforms(AssemblyCase("plain", Plain.untrained)) == []


def test_every_check_is_seen_to_fail():
    assert {name for name, _, _ in BROKEN} == names(CHECKS)


@pytest.mark.parametrize(("name", "build", "message"), BROKEN, ids=[b[1].__name__ for b in BROKEN])
def test_a_broken_pipeline_is_caught(name: str, build: type[Any], message: str):
    found = complaint(AssemblyCase("pipeline", build.untrained), name)
    assert re.search(message, found), found
