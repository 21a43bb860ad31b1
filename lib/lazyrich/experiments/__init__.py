"""The experiments of the chapters: the points of their sweeps, and what these share."""
