"""The identity contrastive loss: pictures of one person give similar tokens, pictures of others do not."""

import torch
import torch.nn.functional as F
from torch import nn

from anifacediff.errors import InputError
from anifacediff.shapes import Bool, Float, Int, Tensor, check_finite, check_shape


class IdentityBank(nn.Module):
    """The latest identity tokens and whose they are; the oldest make room. Part of a run's state.

    Args:
        capacity: how many tokens are kept.
        width: of a token.

    Raises:
        InputError: if either is not positive.

    Source: MIMAFace, section 3.2 and figure 4; the paper gives neither its size nor which tokens leave.
    """

    tokens: Tensor
    identities: Tensor
    added: Tensor

    def __init__(self, capacity: int, width: int) -> None:
        super().__init__()
        if capacity < 1 or width < 1:
            raise InputError(f"capacity, width: must be positive, found {capacity}, {width}.")
        self.register_buffer("tokens", torch.zeros(capacity, width))
        self.register_buffer("identities", torch.full((capacity,), -1))
        self.register_buffer("added", torch.zeros((), dtype=torch.long))

    @property
    def filled(self) -> Bool[Tensor, "m"]:
        """Which places hold a token."""
        return self.identities >= 0

    @torch.no_grad()
    def add(self, tokens: Float[Tensor, "n d"], identities: Int[Tensor, "n"]) -> None:
        """Keep tokens, without their gradients.

        Args:
            tokens: n d.
            identities: numbers of the persons, from 0 on.

        Raises:
            InputError: if a number is negative, or a token holds NaN or infinity.
        """
        _check(tokens, identities, self.tokens.shape[1])
        capacity, start = len(self.tokens), int(self.added)
        kept = min(len(tokens), capacity)
        places = (torch.arange(len(tokens) - kept, len(tokens), device=self.tokens.device) + start) % capacity
        self.tokens[places] = tokens[len(tokens) - kept :].to(self.tokens)
        self.identities[places] = identities[len(tokens) - kept :].to(self.identities)
        self.added += len(tokens)


def identity_contrastive_loss(
    tokens: Float[Tensor, "n d"],
    positives: Float[Tensor, "n d"],
    identities: Int[Tensor, "n"],
    bank: IdentityBank,
    *,
    temperature: float = 1.0,
) -> Float[Tensor, ""]:
    """Pull tokens of one person together and push those of others apart.

    For a token z and one of the same person z+, ``-log(exp(sim(z, z+)) / (exp(sim(z, z+)) + sum_j exp(sim(z, z_j))))``
    with the bank's tokens z_j of other persons and the cosine similarity sim; averaged over the pairs. A token has as
    many pairs as it has positives: its augmented picture's token, and all of the same person in the bank.

    Args:
        tokens: the class tokens of source pictures.
        positives: those of the same pictures after photometric augmentation.
        identities: numbers of the persons, from 0 on.
        bank: earlier tokens; add the present ones afterwards.
        temperature: divides the similarities; the paper has none.

    Raises:
        ShapeError: if widths or numbers of rows differ.
        InputError: if a number is negative, the temperature is not positive, or a token holds NaN or infinity.

    Source: MIMAFace, eq. 2.
    """
    _check(tokens, identities, bank.tokens.shape[1])
    check_shape("positives", positives, "n d", *tokens.shape)
    if temperature <= 0:
        raise InputError(f"temperature: must be positive, found {temperature}.")
    tokens = F.normalize(tokens, dim=1)
    augmented = (tokens * F.normalize(positives, dim=1)).sum(1, keepdim=True) / temperature
    remembered = tokens @ F.normalize(bank.tokens.to(tokens), dim=1).T / temperature
    same = bank.identities == identities[:, None].to(bank.identities)
    others = remembered.masked_fill(same | ~bank.filled, -torch.inf).logsumexp(1, keepdim=True)
    similar = torch.cat([augmented, remembered], 1)
    pairs = torch.cat([torch.ones_like(same[:, :1]), same], 1)
    return (torch.logaddexp(similar, others) - similar)[pairs].mean()


def _check(tokens: Float[Tensor, "n d"], identities: Int[Tensor, "n2"], width: int) -> None:
    check_shape("tokens", tokens, "n d", None, width)
    check_shape("identities", identities, "n", len(tokens))
    check_finite("tokens", tokens)
    if len(identities) and int(identities.min()) < 0:
        raise InputError(f"identities: must be numbers from 0 on, found {int(identities.min())}.")
