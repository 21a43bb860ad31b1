"""``pyproject.toml`` is the one list of what is needed; the other files follow it."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
EXTRAS = ("book", "test", "distributed")
PYTHONS = ("3.11", "3.12", "3.13")


def wanted():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][one] for one in EXTRAS)]
    return [Requirement(line) for lines in lists for line in lines]


def locked():
    """The entries of the lock, each with its hashes."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [re.sub(r"(^| )#.*", "", line).strip() for line in text.splitlines()]
    entries = [line.split("--hash=") for line in lines if line]
    return [(Requirement(entry[0]), [one.strip() for one in entry[1:]]) for entry in entries]


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("requirement", wanted(), ids=str)
def test_the_lock_satisfies_each_requirement(requirement, python):
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    versions = [
        next(iter(entry.specifier)).version
        for entry, _ in locked()
        if canonicalize_name(entry.name) == canonicalize_name(requirement.name)
        and (entry.marker is None or entry.marker.evaluate(environment))
    ]
    assert len(versions) == 1, f"{requirement.name} must have one version, got {versions}"
    assert requirement.specifier.contains(versions[0], prereleases=True)


def test_every_entry_of_the_lock_is_one_version_with_hashes():
    entries = locked()
    assert len(entries) > 50
    for entry, hashes in entries:
        assert re.fullmatch(r"==[\w.+!-]+", str(entry.specifier)), f"{entry} must be one version"
        assert hashes, f"{entry} must have hashes"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), entry


def test_the_lock_names_no_address():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search(r"://|^ *-(-(extra-)?index-url|-find-links|[if]\b)|\.whl", text, re.M)


def test_the_environment_repeats_no_list():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert set(environment) == {"name", "channels", "dependencies"}
    python, pip, of_pip = environment["dependencies"]
    assert re.fullmatch(r"python=3\.\d+", python) and python.split("=")[1] in PYTHONS
    assert (pip, of_pip) == ("pip", {"pip": ["-r requirements.lock"]})


def test_the_project_itself_is_installed_without_another_list():
    for name in ("postBuild", "Makefile"):
        content = (ROOT / name).read_text(encoding="utf-8")
        assert content.count("--no-deps -e .\n") == 1, name


def test_an_environment_whose_installation_fails_is_not_ready(tmp_path):
    """Also with GNU make 3.81, that of macOS, which knows no ``.SHELLFLAGS``."""
    environment = tmp_path / "venv"
    (environment / "bin").mkdir(parents=True)
    (environment / "pyvenv.cfg").touch()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for name in ("python", f"python{version}"):  # has pip, and what it installs has another hash
        fake = environment / "bin" / name
        fake.write_text('#!/bin/sh\ncase "$*" in *require-hashes*) exit 1;; esac\n')
        fake.chmod(0o755)
    ready = environment / f"ready-{version}"
    command = ["make", "-C", ROOT, f"PYTHON={sys.executable}", f"VENV={environment}", ready]
    done = subprocess.run([*command, ".SHELLFLAGS=-c"], capture_output=True, text=True)
    assert done.returncode != 0 and not ready.exists(), done.stderr
