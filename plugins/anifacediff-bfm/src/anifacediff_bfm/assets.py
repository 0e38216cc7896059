"""What users obtain themselves: the Basel Face Model, and the networks that read its coefficients."""

from pathlib import Path

from anifacediff.assets.contracts import Asset, AssetFile, Converted, Licence

_BASEL = Licence(
    "Basel Face Model: internal, non-commercial research, evaluation or testing; else by licence of the University",
    "ask",
    "https://faces.dmi.unibas.ch/bfm/main.php?nav=1-2&id=downloads",
)
"""Under this address the terms must be accepted. Read second-hand: quoted in YadiraF/PRNet#28; that they hold for
modified versions, too, is said in cleardusk/3DDFA_V2#111."""


def bfm_deep3d() -> Asset:
    """Describe ``"bfm-deep3d"``: the face model in the layout of Deep3DFaceRecon."""
    return Asset(
        name="bfm-deep3d",
        purpose='the face model "bfm-deep3d", whose parameters the tracker "d3dfr-deep3d" reads',
        source=(
            "https://github.com/sicxu/Deep3DFaceRecon_pytorch, whose util/load_mats.py makes it of "
            "01_MorphableModel.mat (University of Basel, on request) and Exp_Pca.bin (Guo et al.)"
        ),
        licence=_BASEL,
        files=(AssetFile("BFM_model_front.mat", most_bytes=2**29),),
        convert=_convert_model,
    )


def bfm_mimaface() -> Asset:
    """Describe ``"bfm-mimaface"``: the face model in the layout of MIMAFace."""
    return Asset(
        name="bfm-mimaface",
        purpose='the face model "bfm-mimaface", whose parameters the tracker "d3dfr-mimaface" reads',
        source="https://huggingface.co/MIMAFace/MIMAFace, folder models/D3DFR",
        licence=_BASEL,
        files=(AssetFile("BFM09_model_info.mat", most_bytes=2**29),),
        convert=_convert_model,
    )


def d3dfr_deep3d() -> Asset:
    """Describe ``"d3dfr-deep3d"``: the network of Deep3DFaceRecon."""
    return Asset(
        name="d3dfr-deep3d",
        purpose='the network of the tracker "d3dfr-deep3d"',
        source="https://github.com/sicxu/Deep3DFaceRecon_pytorch, the pre-trained model linked in its README",
        licence=Licence(
            "MIT for the code; none said for the weights, trained with the Basel Face Model and on research data",
            "ask",
            "https://github.com/sicxu/Deep3DFaceRecon_pytorch/blob/master/LICENSE",
        ),
        files=(AssetFile("epoch_20.pth"),),
        convert=_convert_deep3d,
    )


def d3dfr_mimaface() -> Asset:
    """Describe ``"d3dfr-mimaface"``: the network inside MIMAFace."""
    return Asset(
        name="d3dfr-mimaface",
        purpose='the network of the tracker "d3dfr-mimaface"',
        source="https://huggingface.co/MIMAFace/MIMAFace, folder models/D3DFR",
        licence=Licence(
            "none said; trained with the Basel Face Model", "ask", "https://github.com/MIMAFace2024/MIMAFace"
        ),
        files=(AssetFile("netG_epoch_25.pth"),),
        convert=_convert_mimaface,
    )


def _convert_model(paths: tuple[Path, ...]) -> Converted:
    from anifacediff.assets.mat_files import read_mat
    from anifacediff_bfm.layout import FIELDS, from_published

    return Converted(from_published(read_mat(paths[0], FIELDS), str(paths[0])))


def _convert_deep3d(paths: tuple[Path, ...]) -> Converted:
    from anifacediff_bfm.checkpoints import convert_network
    from anifacediff_bfm.setups import DEEP3D

    return convert_network(paths[0], DEEP3D, inside="net_recon")


def _convert_mimaface(paths: tuple[Path, ...]) -> Converted:
    from anifacediff_bfm.checkpoints import convert_network
    from anifacediff_bfm.setups import MIMAFACE

    return convert_network(paths[0], MIMAFACE)
