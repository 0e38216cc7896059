"""From folders of videos to shards of face crops, parameters, control maps and latents, for training."""
