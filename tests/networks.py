"""Tiny real diffusers models."""

from anifacediff.testing.denoisers import tiny_unet as make_unet

__all__ = ["make_unet"]
