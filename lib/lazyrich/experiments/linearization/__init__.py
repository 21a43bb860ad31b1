"""The chapter on linearization: its networks and tasks, and what its sweeps compute at a point."""
