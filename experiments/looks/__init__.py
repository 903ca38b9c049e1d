"""Commands that look at layers and networks and never train: one file each, page included."""
