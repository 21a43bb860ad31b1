"""What the chapter on heavy tails computes at the points of its sweeps."""
