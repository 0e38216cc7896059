"""Our components on diffusers' own pipelines, called as diffusers documents them."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import tiny
import torch
from diffusers import AnimateDiffPipeline, UNet2DConditionModel
from torch import Tensor

from anifacediff.backbone import ReferenceNet, TemporalModules
from anifacediff.conditioning import ExpressionAdapter, ImageTokens, PoseEncoder
from anifacediff.errors import ShapeError

FRAMES = 4
SIZE = 64
PROMPT = "a fox"
KINDS = ("expression", "reference", "pose")
Conditions = dict[str, Any]


class Parts:
    """Our components with weights that matter, and their conditions."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        self.reference = ReferenceNet.from_unet(unet)
        self.expression = tiny.pretend_trained(ExpressionAdapter.for_unet(unet, expression_dim=10))
        self.pose = tiny.pretend_trained(PoseEncoder.for_unet(unet, block_out_channels=(8, 8, 8, 8)))

    @contextmanager
    def attached(self, pipe: Any) -> Generator[None]:
        with ExitStack() as stack:
            for kind in KINDS:
                stack.enter_context(getattr(self, kind).attach(pipe.unet))
            yield

    @torch.no_grad()
    def conditions(self, pipe: Any, *, guidance: bool, frames: int = FRAMES) -> dict[str, Conditions]:
        """The condition of each kind, for one reference and as many frames."""
        generator = torch.Generator().manual_seed(2)
        context, _ = pipe.encode_prompt(PROMPT, "cpu", 1, False)
        picture = tiny.portrait(SIZE) * 2 - 1
        latents = pipe.vae.encode(picture).latent_dist.mode() * pipe.vae.config.scaling_factor
        expression = torch.randn(frames, 10, generator=generator)
        maps = torch.rand(frames, 3, SIZE, SIZE, generator=generator)
        return {
            "expression": dict(self.expression(expression, guidance=guidance)),
            "reference": dict(self.reference.read(latents, context, pipe.unet, guidance=guidance)),
            "pose": dict(self.pose(maps)),
        }


@pytest.fixture
def sd() -> Any:
    pipe = tiny.stable_diffusion(SIZE)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture
def parts(sd: Any) -> Parts:
    return Parts(sd.unet)


@pytest.fixture
def temporal(sd: Any) -> TemporalModules:
    return TemporalModules.for_unet(sd.unet, heads=4, max_frames=16)


@pytest.fixture(params=["stable_diffusion", "animatediff"])
def pipe(request: pytest.FixtureRequest, sd: Any, temporal: TemporalModules) -> Any:
    return sd if request.param == "stable_diffusion" else animatediff(sd, tiny.pretend_trained(temporal))


def animatediff(sd: Any, temporal: TemporalModules) -> Any:
    unet = temporal.inflate(sd.unet)
    pipe: Any = AnimateDiffPipeline(sd.vae, sd.text_encoder, sd.tokenizer, unet, temporal, sd.scheduler)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def draw(pipe: Any, conditions: Conditions | None = None, *, scale: float = 1.0, **options: Any) -> Tensor:
    """Run a pipeline's own call on fixed noise; the latents of each picture or frame, f c h w."""
    latents = torch.randn(FRAMES, 4, SIZE // 8, SIZE // 8, generator=torch.Generator().manual_seed(3))
    prompt = {} if "prompt_embeds" in options else {"prompt": PROMPT}
    call = {
        "num_inference_steps": 2,
        "output_type": "latent",
        "cross_attention_kwargs": conditions,
        **prompt,
        **options,
    }
    if not hasattr(pipe, "motion_adapter"):
        return pipe(num_images_per_prompt=FRAMES, latents=latents, guidance_scale=scale, **call).images
    noise = latents.transpose(0, 1)[None]
    return pipe(num_frames=FRAMES, latents=noise, guidance_scale=scale, **call).frames[0].transpose(0, 1)


@pytest.mark.parametrize("scale", [1.0, 5.0], ids=["unguided", "guided"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_component_alone_changes_the_output_and_leaves_no_trace(
    pipe: Any, parts: Parts, kind: str, scale: float, diffusers_log: pytest.LogCaptureFixture
):
    before, processors = draw(pipe, scale=scale), dict(pipe.unet.attn_processors)
    condition = parts.conditions(pipe, guidance=scale > 1)[kind]
    with getattr(parts, kind).attach(pipe.unet):
        given = draw(pipe, condition, scale=scale)
        assert torch.equal(draw(pipe, scale=scale), before), "attached, but no condition given"
    assert "not expected" not in diffusers_log.text
    assert given.isfinite().all()
    per_frame = (given - before).abs().amax((1, 2, 3))
    assert (per_frame > 1e-2).all(), per_frame
    assert torch.equal(draw(pipe, scale=scale), before)
    assert all(pipe.unet.attn_processors[name] is processor for name, processor in processors.items())


def test_the_log_would_show_an_unexpected_argument(sd: Any, diffusers_log: pytest.LogCaptureFixture):
    draw(sd, {"expression_tokens": torch.zeros(1)})
    assert "not expected" in diffusers_log.text


@pytest.mark.parametrize("scale", [1.0, 5.0], ids=["unguided", "guided"])
def test_everything_at_once(pipe: Any, parts: Parts, scale: float, diffusers_log: pytest.LogCaptureFixture):
    before = draw(pipe, scale=scale)
    conditions = parts.conditions(pipe, guidance=scale > 1)
    together = conditions["expression"] | conditions["reference"] | conditions["pose"]
    with parts.attached(pipe):
        full = draw(pipe, together, scale=scale)
        for name in together:
            fewer = {other: value for other, value in together.items() if other != name}
            assert not torch.allclose(draw(pipe, fewer, scale=scale), full, atol=1e-2), name
    assert "not expected" not in diffusers_log.text
    assert torch.equal(draw(pipe, scale=scale), before)


def test_guidance_is_the_contrast_of_two_unguided_evaluations(sd: Any, parts: Parts):
    """The unconditional half sees neither expression nor reference; the pose is given to both."""
    scale = 5.0
    with parts.attached(sd), torch.no_grad():
        guided = parts.conditions(sd, guidance=True)
        found = draw(
            sd, guided["expression"] | guided["reference"] | guided["pose"], scale=scale, num_inference_steps=1
        )
        plain = parts.conditions(sd, guidance=False)
        latents = torch.randn(FRAMES, 4, SIZE // 8, SIZE // 8, generator=torch.Generator().manual_seed(3))
        context, empty = sd.encode_prompt(PROMPT, "cpu", FRAMES, True)
        sd.scheduler.set_timesteps(1)
        t = sd.scheduler.timesteps[0]
        without = sd.unet(latents, t, empty, cross_attention_kwargs=plain["pose"]).sample
        conditions = plain["expression"] | plain["reference"] | plain["pose"]
        given = sd.unet(latents, t, context, cross_attention_kwargs=conditions).sample
        expected = sd.scheduler.step(without + scale * (given - without), t, latents).prev_sample
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scale", [1.0, 5.0], ids=["unguided", "guided"])
@pytest.mark.parametrize("kind", ["expression", "pose"])
@pytest.mark.parametrize("video", [False, True], ids=["stable_diffusion", "animatediff"])
def test_a_frame_gets_its_own_condition(
    sd: Any, parts: Parts, temporal: TemporalModules, kind: str, scale: float, video: bool
):
    """Fresh temporal modules pass nothing from frame to frame, so that only the changed frame may differ."""
    pipe = animatediff(sd, temporal.eval()) if video else sd
    condition = parts.conditions(pipe, guidance=scale > 1)[kind]
    (name, value), changed = next(iter(condition.items())), 2
    other = value.clone()
    other[changed - FRAMES] += 1.0  # of the conditional half, if there are two
    with getattr(parts, kind).attach(pipe.unet):
        first, second = draw(pipe, condition, scale=scale), draw(pipe, {name: other}, scale=scale)
    difference = (first - second).abs().amax((1, 2, 3))
    assert difference[changed] > 1e-2
    assert (difference[torch.arange(FRAMES) != changed] < 1e-5).all(), difference


def test_trained_temporal_modules_pass_a_condition_on_to_other_frames(sd: Any, parts: Parts, temporal: TemporalModules):
    pipe = animatediff(sd, tiny.pretend_trained(temporal))
    condition = parts.conditions(pipe, guidance=False)["expression"]
    other = condition["expression_tokens"].clone()
    other[2] += 1.0
    with parts.expression.attach(pipe.unet):
        difference = (draw(pipe, condition) - draw(pipe, {"expression_tokens": other})).abs().amax((1, 2, 3))
    assert (difference > 1e-4).all(), difference


def test_several_prompts_with_several_pictures_each(sd: Any, parts: Parts):
    """Rows run over prompts, then over the pictures of a prompt: conditions are given in that order."""
    expression = torch.randn(4, 10)
    noise = torch.randn(4, 4, SIZE // 8, SIZE // 8)
    call = {"num_inference_steps": 2, "output_type": "latent", "guidance_scale": 5.0}
    with torch.no_grad(), parts.expression.attach(sd.unet):
        together = sd(
            ["a fox", "an owl"],
            num_images_per_prompt=2,
            latents=noise,
            cross_attention_kwargs=dict(parts.expression(expression, guidance=True)),
            **call,
        ).images
        for row in range(4):
            alone = sd(
                ["a fox", "an owl"][row // 2],
                latents=noise[row : row + 1],
                cross_attention_kwargs=dict(parts.expression(expression[row : row + 1], guidance=True)),
                **call,
            ).images
            torch.testing.assert_close(together[row], alone[0], rtol=1e-3, atol=1e-4)


def test_one_expression_serves_all_rows_of_an_unguided_call(sd: Any, parts: Parts):
    expression = torch.randn(1, 10)
    with torch.no_grad(), parts.expression.attach(sd.unet):
        one = draw(sd, dict(parts.expression(expression)))
        each = draw(sd, dict(parts.expression(expression.expand(FRAMES, -1))))
    torch.testing.assert_close(one, each)


@pytest.mark.parametrize("scale", [1.0, 5.0], ids=["unguided", "guided"])
def test_prompt_embeds_by_hand(pipe: Any, parts: Parts, scale: float):
    conditions = parts.conditions(pipe, guidance=scale > 1)
    together = conditions["expression"] | conditions["reference"] | conditions["pose"]
    with torch.no_grad():
        embeds, negative = pipe.encode_prompt(PROMPT, "cpu", 1, True)
        token = ImageTokens(tiny.image_encoder())(tiny.portrait(SIZE))
    with parts.attached(pipe):
        by_prompt = draw(pipe, together, scale=scale)
        by_hand = draw(pipe, together, scale=scale, prompt_embeds=embeds, negative_prompt_embeds=negative)
        by_image = draw(
            pipe, together, scale=scale, prompt_embeds=token, negative_prompt_embeds=torch.zeros_like(token)
        )
    torch.testing.assert_close(by_hand, by_prompt)
    assert not torch.allclose(by_image, by_prompt, atol=1e-2)


def test_forgotten_guidance_is_explained(pipe: Any, parts: Parts):
    condition = parts.conditions(pipe, guidance=False)["expression"]
    with parts.expression.attach(pipe.unet), pytest.raises(ShapeError, match="guidance=True"):
        draw(pipe, condition, scale=5.0)


def test_guidance_where_there_is_none_is_explained(sd: Any, parts: Parts):
    condition = parts.conditions(sd, guidance=True)["expression"]
    with parts.expression.attach(sd.unet), pytest.raises(ShapeError, match="if, and only if"):
        draw(sd, condition, scale=1.0)


def test_a_reference_context_of_another_width_is_explained(sd: Any, parts: Parts):
    with pytest.raises(ShapeError, match=r"encoder_hidden_states: expected shape \(b l d\) = \(1, any, 32\)"):
        parts.reference.read(torch.randn(1, 4, 8, 8), torch.randn(1, 1, 99), sd.unet)


def test_animatediff_takes_the_attached_denoiser_as_it_is(sd: Any, temporal: TemporalModules):
    tiny.pretend_trained(temporal)
    video_unet = temporal.inflate(sd.unet)
    pipe: Any = AnimateDiffPipeline(sd.vae, sd.text_encoder, sd.tokenizer, video_unet, temporal, sd.scheduler)
    assert pipe.unet is video_unet
    assert pipe.unet.conv_in.weight is sd.unet.conv_in.weight


def test_animatediff_of_our_denoiser_equals_animatediff_of_diffusers(sd: Any, temporal: TemporalModules):
    """With normalisation per clip, as stock diffusers has it; per frame, as AnimateDiff was published, differs."""
    tiny.pretend_trained(temporal)
    before = draw(sd)

    def video(unet: object) -> Tensor:
        pipe: Any = AnimateDiffPipeline(
            sd.vae,
            sd.text_encoder,
            sd.tokenizer,
            unet,  # pyright: ignore[reportArgumentType]
            temporal,
            sd.scheduler,
        )
        pipe.set_progress_bar_config(disable=True)
        return draw(pipe)

    theirs = video(sd.unet)
    torch.testing.assert_close(video(temporal.inflate(sd.unet, norm="per_clip")), theirs)
    assert not torch.allclose(video(temporal.inflate(sd.unet)), theirs, atol=1e-3)
    assert torch.equal(draw(sd), before), "the 2D denoiser must stay as it is"


def test_fresh_temporal_modules_draw_the_pictures_of_the_2d_pipeline(sd: Any, temporal: TemporalModules):
    pictures = draw(sd)
    torch.testing.assert_close(draw(animatediff(sd, temporal.eval())), pictures, rtol=1e-4, atol=1e-4)


def test_pictures_come_out_decoded(sd: Any, parts: Parts, temporal: TemporalModules):
    condition = parts.conditions(sd, guidance=True)["expression"]
    video = animatediff(sd, temporal)
    with parts.expression.attach(sd.unet), parts.expression.attach(video.unet):
        call = {"num_inference_steps": 1, "cross_attention_kwargs": condition}
        pictures = sd(PROMPT, num_images_per_prompt=FRAMES, **call).images
        frames = video(PROMPT, num_frames=FRAMES, **call).frames[0]
    assert len(pictures) == len(frames) == FRAMES
    assert {picture.size for picture in (*pictures, *frames)} == {(SIZE, SIZE)}
