"""Tiny files in the formats of the real ones, from a server on this machine."""

import gzip
import hashlib
import io
import re
import socket
import struct
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pooch
import pytest
from nbformat import v4

from lazyrich import downloads
from lazyrich.book import execution

IMAGES, LABELS, ARCHIVE = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "cifar-10-python.tar.gz",
)
PIXELS = np.arange(5 * 28 * 28, dtype=np.uint8).reshape(5, 28, 28)
CLASSES = np.array([3, 1, 4, 1, 5], dtype=np.uint8)
COLOURS = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)


def idx(array, magic=None):
    head = struct.pack(f">{1 + array.ndim}I", magic or 0x800 + array.ndim, *array.shape)
    return gzip.compress(head + array.tobytes(), mtime=0)


def batch(images, labels):
    """Images and labels as Python 2 pickled them: strings of bytes, and a dtype of integers."""

    def string(content):
        return b"T" + struct.pack("<i", len(content)) + content

    rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    shape = b"".join(b"M" + struct.pack("<H", size) for size in rows.shape) + b"\x86"
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85" + string(b"b") + b"tR"
    )
    dtype = b"cnumpy\ndtype\n(" + string(b"u1") + b"K\x00K\x01tR"
    dtype += b"(K\x03" + string(b"|") + b"NNN" + 2 * b"J\xff\xff\xff\xff" + b"K\x00tb"
    array += b"(K\x01" + shape + dtype + b"I00\n" + string(rows.tobytes()) + b"tb"
    classes = b"(" + b"".join(b"K" + bytes([label]) for label in labels) + b"l"
    return b"\x80\x02}(" + string(b"data") + array + string(b"labels") + classes + b"u."


def archive(count=2):
    """Five batches, not in their order, and another file, as in the real archive."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for number in (4, 0, 3, 2, 5, 1):
            name = f"data_batch_{number}" if number else "test_batch"
            of_batch = slice(2 * number - 2, 2 * number)
            data = batch(COLOURS[of_batch], range(10)[of_batch][:count]) if number else b"no pickle"
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return content.getvalue()


class Handler(BaseHTTPRequestHandler):
    """Answers a request for /kind/name as a mirror of that kind does."""

    def do_GET(self):
        self.server.asked.append(self.path)
        _, kind, name = self.path.split("/")
        whole = self.server.files[name]
        half = whole[: len(whole) // 2]
        status, announced, sent = {
            "good": (200, whole, whole),
            "interrupted": (200, whole, half),
            "truncated": (200, half, half),
            "wrong": (200, b"another file", b"another file"),
            "down": (500, b"down", b"down"),
        }[kind]
        self.send_response(status)
        self.send_header("Content-Length", str(len(announced)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def unused():
    """A port that is taken, but on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LAZYRICH_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def serve(server, unused, cache, monkeypatch):
    """A function that makes tiny files the source of a data set, on mirrors of some kinds."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    def replace(name, files, *kinds):
        server.files = files
        ports = [unused if kind == "refused" else server.server_port for kind in kinds]
        source = getattr(downloads, name)._replace(
            mirrors=tuple(
                f"http://127.0.0.1:{port}/{kind}/" for port, kind in zip(ports, kinds, strict=True)
            ),
            checksums={name: sha256(content) for name, content in files.items()},
        )
        monkeypatch.setattr(downloads, name, source)
        return source

    return replace


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def digits():
    return {IMAGES: idx(PIXELS), LABELS: idx(CLASSES)}


def same(images, pixels=PIXELS, labels=CLASSES):
    assert images.pixels.dtype == np.uint8 and images.labels.dtype == int
    assert images.pixels.flags.writeable and images.labels.flags.writeable
    np.testing.assert_array_equal(images.pixels, pixels)
    np.testing.assert_array_equal(images.labels, labels)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_grey_images_are_those_of_the_files(name, serve, cache):
    serve(name.upper(), digits(), "good")
    same(getattr(downloads, f"fetch_{name}")())
    assert {path.name for path in (cache / name).iterdir()} == {IMAGES, LABELS}


def test_colour_images_are_those_of_the_files_in_the_order_of_the_batches(serve):
    serve("CIFAR10", {ARCHIVE: archive()}, "good")
    images = downloads.fetch_cifar10()
    same(images, COLOURS, np.arange(10))
    assert images.pixels.flags.c_contiguous


def test_a_second_time_nothing_is_asked_for(serve, server):
    serve("MNIST", digits(), "good")
    same(downloads.fetch_mnist())
    assert server.asked == [f"/good/{IMAGES}", f"/good/{LABELS}"]
    same(downloads.fetch_mnist())
    assert len(server.asked) == 2


@pytest.mark.parametrize("kind", ["interrupted", "truncated", "wrong", "down", "refused"])
def test_a_bad_mirror_leads_to_the_next(kind, serve, cache):
    serve("MNIST", digits(), kind, "good")
    same(downloads.fetch_mnist())
    assert {path.name for path in (cache / "mnist").iterdir()} == {IMAGES, LABELS}


def test_a_good_mirror_is_the_last_that_is_asked(serve, server):
    serve("MNIST", digits(), "good", "wrong")
    downloads.fetch_mnist()
    assert server.asked == [f"/good/{IMAGES}", f"/good/{LABELS}"]


def test_if_all_mirrors_fail_one_error_says_all(serve, cache):
    reasons = {
        "interrupted": "IncompleteRead",
        "truncated": f"got {sha256(digits()[IMAGES][: len(digits()[IMAGES]) // 2])}",
        "wrong": f"got {sha256(b'another file')}",
        "down": "500 Server Error",
        "refused": "Connection refused",
    }
    source = serve("MNIST", digits(), *reasons)
    with pytest.raises(downloads.MissingData) as failure:
        downloads.fetch_mnist()
    to_do, title, *tried = str(failure.value).splitlines()
    tried, advice = tried[:10], tried[10:]
    assert to_do == (
        "mnist is not on this machine and cannot be downloaded: put train-images-idx3-ubyte.gz and "
        "train-labels-idx1-ubyte.gz into the folder mnist of the folder that LAZYRICH_DATA names"
    )
    assert title == f"{IMAGES} could not be had from"
    assert tried[::2] == [f"  {mirror}{IMAGES}" for mirror in source.mirrors]
    assert all(reason in line for reason, line in zip(reasons.values(), tried[1::2], strict=True))
    assert advice == [
        f"Put by hand into {cache / 'mnist'} what is not there, with these SHA-256 checksums:",
        f"  {IMAGES} {source.checksums[IMAGES]}",
        f"  {LABELS} {source.checksums[LABELS]}",
        f"or let LAZYRICH_DATA name another folder than {cache}",
    ]
    assert list((cache / "mnist").iterdir()) == []


def test_files_put_by_hand_are_used(serve, server, cache):
    serve("MNIST", digits(), "good")
    (cache / "mnist").mkdir(parents=True)
    for name, content in digits().items():
        (cache / "mnist" / name).write_bytes(content)
    same(downloads.fetch_mnist())
    assert server.asked == []


def labelled(images, labels):
    """Images as the binary version of CIFAR-10 has them: a label, and the colours one by one."""
    rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return np.concatenate([labels[:, None], rows], axis=1).astype(np.uint8).tobytes()


UNPACKED = {
    "MNIST": {
        name.removesuffix(".gz"): gzip.decompress(content) for name, content in digits().items()
    },
    "CIFAR10": {
        f"data_batch_{1 + n}.bin": labelled(
            COLOURS[2 * n : 2 * n + 2], np.array([2 * n, 2 * n + 1])
        )
        for n in range(5)
    },
}


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("MNIST", "mnist"),
        ("MNIST", "MNIST/raw"),
        ("CIFAR10", "cifar10"),
        ("CIFAR10", "cifar-10-batches-bin"),
    ],
)
def test_files_that_are_unpacked_are_used_too(name, folder, serve, cache, monkeypatch):
    source = serve(name, digits() if name == "MNIST" else {ARCHIVE: archive()}, "refused")
    checksums = {file: sha256(content) for file, content in UNPACKED[name].items()}
    monkeypatch.setattr(downloads, name, source._replace(unpacked=checksums))
    fetch = getattr(downloads, f"fetch_{name.lower()}")
    (cache / folder).mkdir(parents=True, exist_ok=True)
    for file, content in UNPACKED[name].items():
        (cache / folder / file).write_bytes(content)
    same(fetch(), *((PIXELS, CLASSES) if name == "MNIST" else (COLOURS, np.arange(10))))
    (cache / folder / file).write_bytes(b"others")
    with pytest.raises(downloads.MissingData, match="cannot be downloaded"):
        fetch()


def test_a_corrupt_file_in_the_cache_is_fetched_again(serve, server, cache):
    serve("MNIST", digits(), "good")
    downloads.fetch_mnist()
    path = cache / "mnist" / LABELS
    path.write_bytes(path.read_bytes()[:-1])
    same(downloads.fetch_mnist())
    assert server.asked[2:] == [f"/good/{LABELS}"] and path.read_bytes() == digits()[LABELS]


def test_a_wrong_file_put_by_hand_is_named_with_its_checksum(serve, cache):
    serve("MNIST", digits(), "refused")
    (cache / "mnist").mkdir(parents=True)
    (cache / "mnist" / IMAGES).write_bytes(b"wrong")
    message = f"{IMAGES} in the cache has the checksum {sha256(b'wrong')}"
    with pytest.raises(downloads.MissingData, match=message):
        downloads.fetch_mnist()


def test_a_cache_that_is_no_folder_is_named(serve, cache):
    serve("MNIST", digits(), "good")
    cache.write_text("a file")
    with pytest.raises(downloads.MissingData, match=f"another folder than {re.escape(str(cache))}"):
        downloads.fetch_mnist()


@pytest.mark.parametrize("value", [None, ""])
def test_without_the_variable_the_cache_is_that_of_the_operating_system(
    value, serve, monkeypatch, tmp_path
):
    serve("MNIST", digits(), "good")
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "os" / name)
    if value is None:
        monkeypatch.delenv("LAZYRICH_DATA")
    else:
        monkeypatch.setenv("LAZYRICH_DATA", value)
    downloads.fetch_mnist()
    assert (tmp_path / "os" / "lazyrich" / "mnist" / IMAGES).exists()


def test_the_variable_may_begin_with_the_home_folder(serve, monkeypatch, tmp_path):
    serve("MNIST", digits(), "good")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LAZYRICH_DATA", "~/data")
    monkeypatch.chdir(tmp_path)
    downloads.fetch_mnist()
    assert (tmp_path / "data" / "mnist" / IMAGES).exists()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({IMAGES: idx(PIXELS, 2049)}, f"{IMAGES} must begin with the magic number 2051, got 2049"),
        ({LABELS: idx(CLASSES, 2051)}, f"{LABELS} must begin with the magic number 2049, got 2051"),
        ({LABELS: gzip.compress(b"")}, f"{LABELS} must begin with the magic number 2049, got 0"),
        (
            {IMAGES: gzip.compress(gzip.decompress(idx(PIXELS))[:-1])},
            f"{IMAGES} must hold 3920 entries, as its shape (5, 28, 28) says, got 3919",
        ),
        ({LABELS: idx(CLASSES[:4])}, f"{LABELS} must hold 5 labels, got 4"),
    ],
)
def test_files_of_another_format_are_named(files, message, serve):
    serve("MNIST", digits() | files, "good")
    with pytest.raises(ValueError, match=re.escape(message)):
        downloads.fetch_mnist()


def test_an_archive_whose_sizes_differ_is_named(serve):
    serve("CIFAR10", {ARCHIVE: archive(count=1)}, "good")
    with pytest.raises(ValueError, match=r"each of its 5 labels, got shape \(10, 3072\)"):
        downloads.fetch_cifar10()


@pytest.mark.parametrize(
    ("source", "files"),
    [("MNIST", {IMAGES, LABELS}), ("FASHION_MNIST", {IMAGES, LABELS}), ("CIFAR10", {ARCHIVE})],
)
def test_every_file_has_a_checksum_and_more_than_one_mirror(source, files):
    source = getattr(downloads, source)
    assert set(source.checksums) == files
    for checksums in (source.checksums, source.unpacked):
        assert all(re.fullmatch("[0-9a-f]{64}", checksum) for checksum in checksums.values())
    assert len(set(source.mirrors)) > 1
    assert all(re.fullmatch("https?://.*/", mirror) for mirror in source.mirrors)


def test_in_a_notebook_the_import_prints_nothing(tmp_path):
    notebook = v4.new_notebook(cells=[v4.new_code_cell("from lazyrich import downloads")])
    executed = execution.execute(execution.Task(notebook, tmp_path), progress=False)
    assert executed.notebook.cells[0].outputs == []
