import torch
import torch.nn.functional as F

from anifacediff.profiling import counted_work, matmul_rate


def test_work_is_counted_by_the_formulas():
    image, kernel = torch.zeros(2, 3, 8, 8), torch.zeros(5, 3, 3, 3)
    query, key = torch.zeros(2, 4, 7, 16), torch.zeros(2, 4, 9, 16)
    with torch.no_grad(), counted_work() as count:
        F.conv2d(image, kernel, padding=1)
        convolution = count()
        F.scaled_dot_product_attention(query, key, key)
        attention = count() - convolution
        torch.matmul(torch.zeros(3, 4), torch.zeros(4, 5))
        product = count() - attention - convolution
    assert convolution == 2 * (2 * 5 * 8 * 8) * (3 * 3 * 3)
    assert attention == 2 * (2 * 4) * (7 * 9 * 16) * 2
    assert product == 2 * 3 * 4 * 5


def test_the_rate_is_that_of_a_product_of_matrices():
    assert 1e6 < matmul_rate(torch.device("cpu"), torch.float32, size=64, repeats=2) < 1e17
