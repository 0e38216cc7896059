"""One recipe for each assembly."""

from collections.abc import Callable, Mapping
from typing import Any

from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline
from anifacediff.assemblies.animate_anyone import AnimateAnyonePipeline
from anifacediff.assemblies.magicportrait import MagicPortraitPipeline
from anifacediff.assemblies.mimaface import MIMAFacePipeline
from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.errors import InputError
from anifacediff.training.full.recipe import Recipe
from anifacediff.training.full.recipes.anifacediff import AniFaceDiffRecipe
from anifacediff.training.full.recipes.animate_anyone import AnimateAnyoneRecipe
from anifacediff.training.full.recipes.magicportrait import MagicPortraitRecipe
from anifacediff.training.full.recipes.mimaface import MIMAFaceRecipe

RECIPES: Mapping[type[AnimationPipeline], Callable[[Any], Recipe]] = {
    AniFaceDiffPipeline: AniFaceDiffRecipe,
    MagicPortraitPipeline: MagicPortraitRecipe,
    MIMAFacePipeline: MIMAFaceRecipe,
    AnimateAnyonePipeline: AnimateAnyoneRecipe,
}


def recipe_for(pipe: AnimationPipeline) -> Recipe:
    """The recipe of an assembly.

    Raises:
        InputError: if there is none, or the assembly cannot be trained as it is set up.
    """
    for kind, recipe in RECIPES.items():
        if isinstance(pipe, kind):
            return recipe(pipe)
    known = ", ".join(kind.__name__ for kind in RECIPES)
    raise InputError(f"{type(pipe).__name__}: has no recipe for training; {known} have one.")
