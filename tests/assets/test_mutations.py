"""Asset files damaged by chance, read in a process of their own: ``mutate.py`` says what must hold."""

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).with_name("mutate.py")


def test_damaged_files_are_refused_or_read_and_harm_nothing():
    quick = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, PROGRAM, "150", "1"], capture_output=True, text=True, env=quick, check=False)
    assert done.stdout, f"the reader crashed with {done.returncode}: {done.stderr}"
    told = json.loads(done.stdout)
    assert told["wrong"] == []
    assert not told["code_run"]
    assert sum(told["outcomes"].values()) == 150
    assert {outcome.split(":")[0] for outcome in told["outcomes"]} == {"pickle", "mat", "torch", "npy", "safetensors"}
    assert told["peak_mib_grown"] < 64  # files of a few KiB, which declare up to TiB
