"""Points of the sweeps of the chapter on four lenses: one network, one knob from lazy to rich."""
