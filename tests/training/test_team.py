"""Two processes, started as `torchrun` starts them."""

import json
import subprocess
import sys
from pathlib import Path

import torch

from anifacediff.training.team import Team

MEMBER = """
import json, sys
from pathlib import Path
import torch
from anifacediff.training.team import Team

folder = Path(sys.argv[1])
team = Team.gathered()
with team.first():
    order = sorted(path.name for path in folder.iterdir())
    (folder / f"entered-{team.rank}").touch()
parameters = [torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(1))]
parameters[0].grad = torch.tensor([1.0, 3.0]) * (1 + team.rank)
team.average_gradients(parameters)
told = [team.rank, team.size, team.leads, order, parameters[0].grad.tolist(), parameters[1].grad is None]
(folder / f"told-{team.rank}.json").write_text(json.dumps(told))
"""


def test_alone_nothing_is_waited_for_or_changed():
    team = Team.gathered()
    value = torch.tensor([1.0, 2.0])
    with team.first():
        team.average([value])
    assert team.leads
    assert value.tolist() == [1.0, 2.0]


def test_two_processes_take_turns_and_share_gradients(tmp_path: Path):
    script, folder = tmp_path / "member.py", tmp_path / "out"
    script.write_text(MEMBER)
    folder.mkdir()
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*launch, str(script), str(folder)], check=True, capture_output=True, timeout=120)
    first, second = (json.loads((folder / f"told-{rank}.json").read_text()) for rank in (0, 1))
    assert first[:3] == [0, 2, True]
    assert second[:3] == [1, 2, False]
    assert "entered-0" not in first[3]
    assert "entered-0" in second[3]
    assert first[4] == second[4] == [1.5, 4.5]
    assert (first[5], second[5]) == (True, True)
