"""The bundle of networks that MediaPipe's Face Landmarker runs, which its users obtain themselves."""

from anifacediff.assets.contracts import Asset, AssetFile, Licence

BUNDLE = AssetFile(
    name="face_landmarker.task",
    sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
    most_bytes=2**24,
)
"""Version 1 in float16: a face detector, 478 landmarks, 52 blendshapes."""


def face_landmarker() -> Asset:
    """Describe the bundle; it is kept as it is.

    Source of the licence: Google's model cards of the bundle's networks, and the answer of its maintainers in
    google-ai-edge/mediapipe-samples#407.
    """
    return Asset(
        name="face-landmarker",
        purpose='the networks of the tracker "mediapipe"',
        source=f"https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/{BUNDLE.name}",
        licence=Licence("Apache-2.0", "yes", "https://www.apache.org/licenses/LICENSE-2.0"),
        files=(BUNDLE,),
    )
