"""Pictures and clips in and out: reading, writing, cropping, comparing."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anifacediff.media.compare import side_by_side as side_by_side
    from anifacediff.media.crop import SquareCrop as SquareCrop
    from anifacediff.media.cuts import SceneCuts as SceneCuts
    from anifacediff.media.images import read_image as read_image
    from anifacediff.media.images import write_image as write_image
    from anifacediff.media.notes import ClipNotes as ClipNotes
    from anifacediff.media.paste import PasteBack as PasteBack
    from anifacediff.media.pictures import to_images as to_images
    from anifacediff.media.pictures import to_pictures as to_pictures
    from anifacediff.media.video import VideoSource as VideoSource
    from anifacediff.media.writer import VideoWriter as VideoWriter
    from anifacediff.media.writer import check_writable as check_writable
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(
        __name__,
        {
            "compare": ("side_by_side",),
            "crop": ("SquareCrop",),
            "cuts": ("SceneCuts",),
            "images": ("read_image", "write_image"),
            "notes": ("ClipNotes",),
            "paste": ("PasteBack",),
            "pictures": ("to_images", "to_pictures"),
            "video": ("VideoSource",),
            "writer": ("VideoWriter", "check_writable"),
        },
    )
