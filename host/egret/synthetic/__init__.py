"""Random networks: of a calibrated activity, or of one that is met exactly."""
