"""Converters of published checkpoints into the layout of our parts."""
