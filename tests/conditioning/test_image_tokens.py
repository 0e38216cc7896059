import pytest
import torch
from jaxtyping import TypeCheckError
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from anifacediff.conditioning.image_tokens import ImageTokens
from anifacediff.errors import AttachmentError, InputError, ShapeError


@pytest.fixture
def encoder() -> CLIPVisionModelWithProjection:
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=16, patch_size=8
    )
    config.projection_dim = 24
    return CLIPVisionModelWithProjection(config).eval()


def test_one_token_of_the_normalised_image(encoder: CLIPVisionModelWithProjection):
    images = torch.rand(2, 3, 16, 16)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    token = ImageTokens(encoder)(images)
    assert token.shape == (2, 1, 24)
    torch.testing.assert_close(token[:, 0], encoder((images - mean) / std).image_embeds)


def test_patches_are_the_tokens_before_any_projection(encoder: CLIPVisionModelWithProjection):
    images = torch.rand(2, 3, 16, 16)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    found = ImageTokens(encoder).patches(images)
    assert found.shape == (2, 1 + 4, 16)
    torch.testing.assert_close(found, encoder((images - mean) / std).last_hidden_state)


def test_any_size_is_resized(encoder: CLIPVisionModelWithProjection):
    grey = torch.full((1, 3, 40, 64), 0.25)
    torch.testing.assert_close(ImageTokens(encoder)(grey), ImageTokens(encoder)(grey[..., :16, :16]))


def test_bad_images(encoder: CLIPVisionModelWithProjection):
    with pytest.raises((ShapeError, TypeCheckError), match="images"):
        ImageTokens(encoder)(torch.rand(1, 4, 16, 16))
    with pytest.raises(InputError, match="NaN"):
        ImageTokens(encoder)(torch.full((1, 3, 16, 16), torch.nan))
    encoder.config.image_size = None
    with pytest.raises(AttachmentError, match="image_size"):
        ImageTokens(encoder)(torch.rand(1, 3, 16, 16))
