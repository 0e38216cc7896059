"""Training nano, the small AniFaceDiff that ships with the package, on drawn avatars."""
