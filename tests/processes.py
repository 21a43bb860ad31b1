"""Processes that a test started, and those that they started in turn."""

import os
import time

import psutil


def alive(session):
    """Whether processes of a session are left that compute (or did, and are not yet gone)."""
    return any(_session(one) == session for one in psutil.process_iter() if not _ended(one))


def _session(process):
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:  # gone meanwhile
        return None


def _ended(process):
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def end(session, within):
    """Wait until a session has ended, at most so many seconds; whether it has."""
    last = time.perf_counter() + within
    while alive(session):
        if time.perf_counter() > last:
            return False
        time.sleep(0.02)
    return True
