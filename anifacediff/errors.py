"""The errors a user of the library can catch; every one derives from :class:`AniFaceDiffError`.

A message says what was found, where, and what to do. Errors about values also derive from the
built-in exception that a reader would expect (``ValueError``, ``OSError``, ...).
"""


class AniFaceDiffError(Exception):
    """Base of every error that this library raises on purpose."""


class InputError(AniFaceDiffError, ValueError):
    """A value given by the caller cannot be used."""


class ShapeError(InputError):
    """A tensor has another shape than the component declares."""


class NoFaceError(InputError):
    """No face was found where one is needed."""


class SeveralFacesError(InputError):
    """Several faces were found and none was chosen."""


class MediaError(AniFaceDiffError, OSError):
    """An image or video cannot be read: missing, truncated, empty, too large, or of another kind."""


class OutputError(AniFaceDiffError, OSError):
    """A result cannot be written where it was asked for."""


class ProvenanceError(AniFaceDiffError, ValueError):
    """A record of where a clip comes from is damaged, or of another clip."""


class AssetError(AniFaceDiffError, OSError):
    """A file that its users obtain themselves is missing, damaged, or of another kind."""


class AttachmentError(AniFaceDiffError, RuntimeError):
    """Something cannot be attached to a network, or what was attached is no longer in place."""


class CheckpointError(AniFaceDiffError, RuntimeError):
    """A checkpoint is missing, corrupted, or its keys or shapes are not those of the component."""


class ConfigurationError(AniFaceDiffError, RuntimeError):
    """A run is to go on with other data or settings than it was begun with."""


class NotFiniteError(AniFaceDiffError, ArithmeticError):
    """A network produced NaN or infinity."""


class PluginError(AniFaceDiffError, RuntimeError):
    """A plugin is broken, or offers something that its hook does not allow."""


class UnknownComponentError(AniFaceDiffError, KeyError):
    """No component has the name asked for."""

    __str__ = Exception.__str__  # KeyError would show the repr of the message


class AmbiguousComponentError(AniFaceDiffError, LookupError):
    """Several plugins offer a component of the name asked for."""


class ConformanceError(AniFaceDiffError, AssertionError):
    """A component does not do what its kind promises; raised by the checks of ``anifacediff.testing``."""
