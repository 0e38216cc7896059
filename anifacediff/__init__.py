"""Components for animating avatars from a driving video with diffusion models.

Importing the package loads neither torch nor diffusers; see :mod:`anifacediff.registry` for the components.
"""

__version__ = "0.1.0"
