"""The ten rules, one file each, and their catalogue."""
