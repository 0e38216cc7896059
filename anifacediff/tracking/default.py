"""The tracker that is used where none is named."""

from anifacediff.errors import UnknownComponentError
from anifacediff.registry import registry
from anifacediff.tracking.contracts import Tracker


def default_tracker() -> Tracker:
    """Build the tracker of an installed plugin: ``"dlib"`` if there is one, else the first by name.

    Left out are those whose plugin marks them with :class:`~anifacediff.registry.ByNameOnly`: that of drawn avatars,
    which would see a face in anything, and those that need another tracker to find the face, such as ``"deca"``.

    Raises:
        UnknownComponentError: if no plugin offers one, saying how to install one.
    """
    names = sorted(registry.trackers.defaults(), key=lambda name: (name != "dlib", name))
    if not names:
        failed = [f"{plugin.plugin}: {plugin.reason}" for plugin in registry.plugins() if plugin.status != "ok"]
        why = f" Plugins that were not loaded: {'; '.join(failed)}." if failed else ""
        raise UnknownComponentError(
            f'No face tracker is installed. Install one with: pip install "anifacediff[dlib]", or in a clone of the '
            f"repository: pip install -e plugins/anifacediff-dlib.{why} "
            "Without one, give landmarks by hand (anifacediff.tracking.track_faces), or ready FaceParameters."
        )
    return registry.trackers[names[0]]()
