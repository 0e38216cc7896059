"""What users obtain themselves: FLAME, where landmarks lie on it, and DECA's weights."""

from pathlib import Path

from anifacediff.assets.contracts import Asset, AssetFile, Converted, Licence

_SITE = "https://flame.is.tue.mpg.de (sign up, accept the licence, Downloads)"
_TERMS = "https://flame.is.tue.mpg.de/modellicense.html"
# Not read at the source, which needs a login: quoted by several users of FLAME. Older READMEs of its authors
# (TimoBolkart/TF_FLAME, soubhiksanyal/FLAME_PyTorch) say CC BY 4.0 of what was FLAME then.
_ACADEMIC = Licence("FLAME model licence: non-commercial research, education and art; else by agreement", "ask", _TERMS)
_DECA = Licence("DECA: non-commercial research", "no", "https://github.com/yfeng95/DECA/blob/master/LICENSE")


def flame_2020() -> Asset:
    """Describe ``"flame-2020"``: the model that DECA, EMOCA and SMIRK were trained on."""
    return _flame("flame-2020", "generic_model.pkl", f"{_SITE}, FLAME 2020", _ACADEMIC)


def flame_2023() -> Asset:
    """Describe ``"flame-2023"``: with a revised region of the eyes."""
    return _flame("flame-2023", "flame2023.pkl", f"{_SITE}, FLAME 2023", _ACADEMIC)


def flame_2023_open() -> Asset:
    """Describe ``"flame-2023-open"``: the edition for commercial use."""
    licence = Licence("FLAME 2023 Open model licence: CC BY 4.0, with uses that it forbids", "yes", _TERMS)
    return _flame("flame-2023-open", "flame2023_Open.pkl", f"{_SITE}, FLAME 2023 Open", licence)


def flame_landmarks() -> Asset:
    """Describe ``"flame-landmarks"``: where the 68 landmarks lie, the same for all editions of FLAME."""
    return Asset(
        name="flame-landmarks",
        purpose='the landmarks of every FLAME model, unless "flame-landmarks-deca" is in place',
        source="https://github.com/soubhiksanyal/RingNet, folder flame_model",
        licence=Licence("RingNet: non-commercial research", "no", "https://ringnet.is.tue.mpg.de/license"),
        files=(
            AssetFile("flame_static_embedding.pkl", most_bytes=2**20),
            AssetFile("flame_dynamic_embedding.npy", most_bytes=2**20),
        ),
        convert=_convert_landmarks,
    )


def flame_landmarks_deca() -> Asset:
    """Describe ``"flame-landmarks-deca"``: the same landmarks in DECA's one file."""
    return Asset(
        name="flame-landmarks-deca",
        purpose='the landmarks of every FLAME model, unless "flame-landmarks" is in place',
        source="https://github.com/yfeng95/DECA, folder data",
        licence=_DECA,
        files=(AssetFile("landmark_embedding.npy", most_bytes=2**20),),
        convert=_convert_deca_landmarks,
    )


def deca() -> Asset:
    """Describe ``"deca"``: the weights of DECA's coarse encoder."""
    return Asset(
        name="deca",
        purpose='the network of the tracker "deca"',
        source="https://github.com/yfeng95/DECA, the trained model linked in its README",
        licence=_DECA,
        files=(AssetFile("deca_model.tar", most_bytes=2**30),),
        convert=_convert_deca,
    )


def _flame(name: str, file: str, source: str, licence: Licence) -> Asset:
    return Asset(
        name=name,
        purpose=f'the face model "{name}"',
        source=source,
        licence=licence,
        files=(AssetFile(file, most_bytes=2**28),),
        convert=_convert_flame,
    )


def _convert_flame(paths: tuple[Path, ...]) -> Converted:
    from anifacediff_flame.files import read_flame

    return read_flame(paths[0])


def _convert_landmarks(paths: tuple[Path, ...]) -> Converted:
    from anifacediff_flame.files import read_landmarks

    return read_landmarks(*paths)


def _convert_deca_landmarks(paths: tuple[Path, ...]) -> Converted:
    from anifacediff_flame.files import read_deca_landmarks

    return read_deca_landmarks(paths[0])


def _convert_deca(paths: tuple[Path, ...]) -> Converted:
    from anifacediff_flame.files import read_deca

    return read_deca(paths[0])
