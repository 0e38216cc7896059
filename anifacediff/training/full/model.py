"""Denoiser, ReferenceNet and conditioning parts as the one module that is trained."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D, UNetMotionModel
from torch import nn
from torch.utils.checkpoint import checkpoint

from anifacediff.assemblies.clip import evaluate
from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.backbone.temporal import TemporalModules
from anifacediff.errors import InputError
from anifacediff.sampling.denoise import Timestep
from anifacediff.shapes import Bool, Float, Int, Tensor
from anifacediff.training.full.examples import Examples
from anifacediff.training.full.recipe import Recipe

STAGES = (1, 2)


class TrainedAssembly(nn.Module):
    """All that takes part in a prediction, in one ``forward``, so that whatever wraps it sees every weight in use.

    Stage 1 trains the denoiser without its temporal modules, and the parts that the recipe names, on stills. Stage 2
    trains the temporal modules on clips, and little else if the recipe says so.

    Args:
        recipe: how the assembly is trained; its pipeline is taken apart in stage 1, see :meth:`pipeline`.
        stage: 1 or 2.
        checkpointing: keep few activations, and compute the others again for the gradients.

    Raises:
        InputError: if there is no such stage, or stage 2 has no temporal modules to train.
    """

    def __init__(self, recipe: Recipe, stage: int, *, checkpointing: bool = False) -> None:
        super().__init__()
        if stage not in STAGES:
            raise InputError(f"stage: expected 1 or 2, found {stage}.")
        video = isinstance(recipe.pipe.unet, UNetMotionModel)
        if stage == 2 and not video:
            raise InputError("stage 2 trains temporal modules, and the pipeline's denoiser has none.")
        self.stage = stage
        self.recipe = recipe
        self.unet: Any = recipe.pipe.unet
        self._attachments = []
        if stage == 1:
            recipe.pipe.detach()
            self.unet = TemporalModules.deflate(recipe.pipe.unet) if video else recipe.pipe.unet  # pyright: ignore[reportArgumentType]
            self._attachments = recipe.attach(self.unet)
        self.parts = nn.ModuleDict(dict(recipe.parts))
        self._choose_learned()
        if checkpointing:
            self._keep_few_activations()

    def forward(
        self,
        noisy: Float[Tensor, "b f c h w"],
        times: Int[Tensor, "b"] | Timestep,
        told: Bool[Tensor, "b"],
        examples: Examples,
    ) -> Float[Tensor, "b f c h w"]:
        """Predict what the scheduler asks for, in float32 whatever the weights are in.

        Args:
            noisy: b clips of f frames.
            times: of each clip, or one for all.
            told: which clips the denoiser is told everything of.
            examples: what they are drawn from, with latents.
        """
        dtype = next(weight.dtype for weight in self.parameters() if weight.requires_grad)
        if dtype == torch.float32:  # or autocast, in the hands of accelerate
            return self._sorted_out(noisy, times, told, examples)
        with torch.autocast(noisy.device.type, dtype):  # DeepSpeed rounds the weights, and no one what they meet
            return self._sorted_out(noisy.to(dtype), times, told, examples.rounded(dtype)).float()

    def pipeline(self) -> AnimationPipeline:
        """The assembly, put together again with the weights as they are; this module cannot be used afterwards."""
        former = self.recipe.pipe
        components = former.components
        settings = {name: value for name, value in former.config.items() if name[0] != "_" and name not in components}
        whole = ("unet",) if self.unet is former.unet else ()  # else its temporal modules are left to stage 2
        learned = (*self.recipe.learned, *whole) if self.stage == 1 else whole
        settings["untrained"] = [name for name in former.untrained_parts if name not in learned]
        for attachment in self._attachments:
            attachment.detach()
        if self.stage == 2:
            former.detach()
        return type(former)(**components, **settings)

    def learned(self) -> dict[str, nn.Parameter]:
        """The weights that are trained, by name."""
        return {name: weight for name, weight in self.named_parameters() if weight.requires_grad}

    def freeze_unused(self, predict: Callable[[], Tensor]) -> list[str]:
        """Find out which weights a prediction does not depend on, and train them no longer.

        Those are the ends of ReferenceNet, behind its last self-attention; DistributedDataParallel would wait for them.

        Args:
            predict: called without arguments, returns a prediction that is told everything.

        Returns:
            Their names.
        """
        predict().float().mean().backward()
        unused = [name for name, weight in self.learned().items() if weight.grad is None]
        for name in unused:
            self.get_parameter(name).requires_grad_(False)
        self.zero_grad(set_to_none=True)
        return unused

    def _keep_few_activations(self) -> None:
        networks: list[Any] = [self.unet, *self.parts.values()]
        for network in networks:
            if getattr(network, "_supports_gradient_checkpointing", False):
                network.enable_gradient_checkpointing()
        for module in self.unet.modules():
            if isinstance(module, AnimateDiffTransformer3D):  # which diffusers leaves out
                module.forward = partial(checkpoint, module.forward, use_reentrant=False)

    def _choose_learned(self) -> None:
        self.requires_grad_(False)
        self.train()
        if self.stage == 1:
            for module in (self.unet, *(self.parts[name] for name in self.recipe.learned)):
                module.requires_grad_(True)
            return
        for name, weight in self.named_parameters():
            weight.requires_grad_("motion_modules" in name or name.startswith(self.recipe.learned_on_clips))

    def _sorted_out(self, noisy: Tensor, times: Tensor, told: Bool[Tensor, "b"], examples: Examples) -> Tensor:
        """Predict for the told and for the untold, one after the other."""
        sides = [side for side in (told, ~told) if bool(side.any())]
        predicted = [
            self._predicted(noisy[side], times[side] if times.ndim else times, examples.map(_rows(side)), side is told)
            for side in sides
        ]
        order = torch.cat([side.nonzero()[:, 0] for side in sides]).argsort()
        whole = torch.cat(predicted)[order]
        return whole if bool(told.any()) else whole + self._unheard()

    def _predicted(self, noisy: Tensor, times: Tensor, examples: Examples, told: bool) -> Tensor:
        conditions = self.recipe.conditions(examples, self.unet, told)
        return evaluate(self.unet, noisy, times, conditions.context, conditions.entries)

    def _unheard(self) -> Tensor:
        """Zero, with a gradient of zero for every weight, since all processes must have gradients of the same."""
        weights = list(self.learned().values())
        return torch.stack([weight.flatten()[0] * 0 for weight in weights]).sum()


def _rows(side: Bool[Tensor, "b"]) -> Callable[[Tensor], Tensor]:
    def rows(tensor: Tensor) -> Tensor:
        return tensor[side]

    return rows
