"""Components for animating avatars from a driving video with diffusion models.

Importing the package loads neither torch nor diffusers nor numpy. :data:`registry` lists every
component, ours and those of installed plugins; :data:`hookimpl` marks what a plugin offers.
"""

from anifacediff.registry import hookimpl, registry

__all__ = ["__version__", "hookimpl", "registry"]

__version__ = "0.1.0"
