"""The Basel Face Model and the D3DFR networks that read its coefficients off pictures, for anifacediff."""
