"""What a 3D face model and a rasteriser must offer; plugins implement these protocols."""

from typing import Protocol, runtime_checkable

from anifacediff.geometry.fragments import Fragments
from anifacediff.shapes import Float, Int, Tensor


@runtime_checkable
class MorphableModel(Protocol):
    """Coefficients of a face become the vertices of a mesh, in model space.

    Model space is right-handed: x to the image's right for a face that looks at the viewer, y up,
    z towards the viewer. Zero coefficients and a zero pose are the neutral average face. A model offers
    ``num_shape``, ``num_expression``, ``joint_names``, ``triangles`` and a call.
    """

    @property
    def num_shape(self) -> int:
        """The number of identity coefficients."""
        ...

    @property
    def num_expression(self) -> int:
        """The number of expression coefficients."""
        ...

    @property
    def joint_names(self) -> tuple[str, ...]:
        """The joints that a pose rotates, ``"global"`` first."""
        ...

    @property
    def triangles(self) -> Int[Tensor, "t 3"]:
        """Vertex indices, counter-clockwise seen from outside."""
        ...

    def __call__(
        self,
        shape: Float[Tensor, "f s"],
        expression: Float[Tensor, "f e"],
        pose: Float[Tensor, "f j 3"],
    ) -> Float[Tensor, "f v 3"]:
        """Compute posed vertices; differentiable in every argument."""
        ...


@runtime_checkable
class LandmarkedModel(MorphableModel, Protocol):
    """A morphable model that knows where the 68 iBUG landmarks lie on it, so that it can be fitted to them."""

    def landmarks(self, vertices: Float[Tensor, "f v 3"], pose: Float[Tensor, "f j 3"]) -> Float[Tensor, "f 68 3"]:
        """Pick the landmarks out of posed vertices; the jaw line follows the silhouette that ``pose`` shows."""
        ...


@runtime_checkable
class PartialModel(LandmarkedModel, Protocol):
    """A landmarked model that keeps part of the expression off its mesh, and can be fitted without doing so."""

    def complete(self) -> LandmarkedModel:
        """The same model, moved by all of the expression: what a face in a picture is compared with."""
        ...


@runtime_checkable
class Rasterizer(Protocol):
    """Finds the triangle seen at every pixel centre."""

    def __call__(
        self,
        screen: Float[Tensor, "f v 3"],
        triangles: Int[Tensor, "t 3"],
        *,
        height: int,
        width: int,
        perspective: bool = False,
    ) -> Fragments:
        """Rasterise a mesh.

        Args:
            screen: f v 3, x and y in pixels (pixel centres at +0.5) and depth growing away from the viewer.
            triangles: t 3, vertex indices.
            height: of the picture in pixels.
            width: of the picture in pixels.
            perspective: whether barycentric coordinates are corrected by depth, which must then be positive.
        """
        ...
