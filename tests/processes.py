"""Processes that a test started, and those that they started in turn."""

import subprocess
import time


def alive(session):
    """Whether processes of a session are left that compute (or did, and are not yet gone)."""
    found = subprocess.run(
        ["ps", "-s", str(session), "-o", "stat="], capture_output=True, text=True
    )
    return any(not state.startswith("Z") for state in found.stdout.split())


def end(session, within):
    """Wait until a session has ended, at most so many seconds; whether it has."""
    last = time.perf_counter() + within
    while alive(session):
        if time.perf_counter() > last:
            return False
        time.sleep(0.02)
    return True
