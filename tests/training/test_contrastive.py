"""The identity contrastive loss against its equation, term by term, in float64."""

import math

import pytest
import torch
from torch import Tensor

from anifacediff.errors import InputError, ShapeError
from anifacediff.training.contrastive import IdentityBank, identity_contrastive_loss


def cosine(a: Tensor, b: Tensor) -> float:
    return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))


def by_equation(tokens: Tensor, positives: Tensor, identities: list[int], bank: list[tuple[Tensor, int]]) -> float:
    """Equation 2 for every pair of a token and one of the same person."""
    terms: list[float] = []
    for token, positive, identity in zip(tokens, positives, identities, strict=True):
        others = sum(math.exp(cosine(token, other)) for other, whose in bank if whose != identity)
        for same in [positive, *(other for other, whose in bank if whose == identity)]:
            pair = math.exp(cosine(token, same))
            terms.append(-math.log(pair / (pair + others)))
    return sum(terms) / len(terms)


def drawn(rows: int, seed: int) -> Tensor:
    return torch.randn(rows, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("remembered", [1, 4, 9])
def test_equals_the_equation(remembered: int):
    tokens, positives, identities = drawn(3, 0), drawn(3, 1), [0, 1, 1]
    earlier, whose = drawn(remembered, 2), [(index * 2) % 3 for index in range(remembered)]
    bank = IdentityBank(capacity=7, width=6).double()
    bank.add(earlier, torch.tensor(whose))
    loss = identity_contrastive_loss(tokens, positives, torch.tensor(identities), bank)
    kept = list(zip(earlier, whose, strict=True))[-7:]
    assert float(loss) == pytest.approx(by_equation(tokens, positives, identities, kept), abs=1e-12)


def test_without_others_there_is_nothing_to_push_apart():
    bank, tokens = IdentityBank(capacity=4, width=6).double(), drawn(2, 0).requires_grad_()
    loss = identity_contrastive_loss(tokens, drawn(2, 1), torch.tensor([0, 1]), bank)
    loss.backward()
    assert float(loss.detach()) == 0
    assert tokens.grad is not None
    assert not tokens.grad.any()


def test_gradients_reach_the_tokens_and_not_the_bank():
    bank, tokens, positives = IdentityBank(5, 6).double(), drawn(2, 0).requires_grad_(), drawn(2, 1).requires_grad_()
    bank.add(drawn(5, 2).requires_grad_(), torch.arange(5))
    whose = torch.tensor([0, 7])

    def loss(tokens: Tensor, positives: Tensor) -> Tensor:
        return identity_contrastive_loss(tokens, positives, whose, bank)

    assert not bank.tokens.requires_grad
    assert torch.autograd.gradcheck(loss, (tokens, positives))


def test_a_descent_brings_persons_apart():
    torch.manual_seed(0)
    whose = torch.tensor([0, 0, 1, 1])
    tokens = torch.nn.Parameter(torch.randn(4, 6))
    bank, optimiser = IdentityBank(4, 6), torch.optim.Adam([tokens], lr=0.1)
    for _ in range(200):
        bank.add(tokens, whose)
        optimiser.zero_grad()
        identity_contrastive_loss(tokens, tokens.flip(0)[[2, 3, 0, 1]], whose, bank).backward()
        optimiser.step()
    similar = torch.cosine_similarity(tokens.detach()[:, None], tokens.detach(), dim=-1)
    assert float(similar[0, 1]) > 0.9
    assert float(similar[2, 3]) > 0.9
    assert float(similar[:2, 2:].max()) < 0


def test_the_oldest_tokens_make_room_and_a_run_goes_on():
    bank = IdentityBank(capacity=3, width=1)
    bank.add(torch.tensor([[0.0], [1.0]]), torch.tensor([0, 1]))
    assert bank.filled.tolist() == [True, True, False]
    again = IdentityBank(capacity=3, width=1)
    again.load_state_dict(bank.state_dict())
    for each in (bank, again):
        each.add(torch.tensor([[2.0], [3.0]]), torch.tensor([2, 3]))
        assert sorted(each.identities.tolist()) == [1, 2, 3]
        assert each.tokens[:, 0].tolist() == each.identities.tolist()
        each.add(torch.arange(4.0, 9.0)[:, None], torch.arange(4, 9))
        assert sorted(each.tokens[:, 0].tolist()) == [6, 7, 8]


def test_what_does_not_fit_is_named():
    bank, whose = IdentityBank(4, 6), torch.tensor([0, 1])
    good = torch.ones(2, 6)
    with pytest.raises(ShapeError, match="tokens"):
        identity_contrastive_loss(torch.ones(2, 5), torch.ones(2, 5), whose, bank)
    with pytest.raises(InputError, match="tokens"):
        bank.add(good * torch.nan, whose)
    with pytest.raises(InputError, match="from 0 on, found -1"):
        bank.add(good, whose - 1)
    with pytest.raises(InputError, match="temperature"):
        identity_contrastive_loss(good, good, whose, bank, temperature=0.0)
    with pytest.raises(InputError, match="capacity"):
        IdentityBank(0, 6)
