"""What a clip is made from, in one number."""

import hashlib
import json

from anifacediff.batch.rows import Row
from anifacediff.provenance.files import fingerprint


def digest_of(row: Row, animator: str) -> str:
    """Digest what a clip is made from: the contents of its inputs, its settings, and who makes it.

    Args:
        row: names the inputs and the settings.
        animator: names the model, in any words.

    Raises:
        MediaError: if an input cannot be read.
    """
    inputs = [fingerprint(path) for path in (row.reference, row.driving)]
    told = json.dumps([*inputs, row.seed, row.steps, row.preset, animator])
    return hashlib.sha256(told.encode()).hexdigest()
