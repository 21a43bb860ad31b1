import json
import os
import pickle
import struct
import zipfile

import ml_dtypes
import numpy as np
import pytest

from lazyrich import __main__ as command_line
from lazyrich.reports import checkpoint, weight_report

safetensors = pytest.importorskip("safetensors.numpy")
DRAWS = np.random.default_rng(0)
WEIGHTS = {
    "block/0.weight": DRAWS.normal(size=(50, 30)).astype(np.float32),
    "conv": DRAWS.normal(size=(32, 8, 3, 3)).astype(ml_dtypes.bfloat16),
    "ids": np.arange(3),
}


def read(path):
    return dict(checkpoint(path).arrays)


def the_same(found, expected=WEIGHTS):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


# What each format holds


def test_safetensors_are_read_and_their_number_is_known(tmp_path):
    safetensors.save_file(WEIGHTS, tmp_path / "w.safetensors")
    the_same(read(tmp_path / "w.safetensors"))
    assert checkpoint(tmp_path / "w.safetensors").number == 3


def test_shards_of_a_folder_are_read_in_order_beside_what_is_no_weight(tmp_path):
    names = list(WEIGHTS)
    for number in range(3):
        one = {names[number]: WEIGHTS[names[number]]}
        safetensors.save_file(one, tmp_path / f"model-{number}.safetensors")
    (tmp_path / "config.json").write_text('{"layers": 2}')
    (tmp_path / "README.md").write_text("weights")
    (tmp_path / "training_args.bin").write_bytes(pickle.dumps({"rate": 1}))
    (tmp_path / "loss.png").write_bytes(b"\x89PNG\r\n")
    (tmp_path / "more").mkdir()
    the_same(read(tmp_path))
    assert checkpoint(tmp_path).number == 3 and list(read(tmp_path)) == names


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archives_of_numpy_are_read_without_their_objects(save, tmp_path):
    plain = {name: array for name, array in WEIGHTS.items() if name != "conv"}
    save(tmp_path / "w.npz", **plain, listed=np.array([[1], "a"], dtype=object))
    found = read(tmp_path / "w.npz")
    assert found.pop("listed").why == "an object of Python's, which is not read"
    the_same(found, plain)
    np.save(tmp_path / "w.npy", plain["ids"])
    the_same(read(tmp_path / "w.npy"), {"w": plain["ids"]})


def test_leaves_of_equinox_are_read():
    equinox = pytest.importorskip("equinox")
    import io
    import pathlib
    import tempfile

    buffer = io.BytesIO()
    equinox.tree_serialise_leaves(buffer, list(WEIGHTS.values())[::2] + [2.0])
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "w.eqx")
        path.write_bytes(buffer.getvalue())
        found = read(path)
    assert list(found) == ["leaf 0", "leaf 1", "leaf 2"]
    np.testing.assert_array_equal(found["leaf 0"], WEIGHTS["block/0.weight"])


def test_bytes_of_flax_are_read(tmp_path):
    serialization = pytest.importorskip("flax.serialization")
    tree = {"params": {"Dense_0": {"kernel": WEIGHTS["block/0.weight"]}, "steps": [7]}}
    (tmp_path / "w.msgpack").write_bytes(serialization.to_bytes(tree))
    found = read(tmp_path / "w.msgpack")
    assert list(found) == ["params.Dense_0.kernel", "params.steps.0"]
    np.testing.assert_array_equal(found["params.Dense_0.kernel"], WEIGHTS["block/0.weight"])


@pytest.mark.parametrize("zipped", [True, False])
def test_a_state_dict_of_pytorch_is_read(zipped, tmp_path):
    torch = pytest.importorskip("torch")
    W = torch.tensor(WEIGHTS["block/0.weight"])
    state = {"a": W, "half": W.bfloat16(), "tied": W, "epoch": 3, "sparse": W.to_sparse()}
    path = tmp_path / "w.pt"
    torch.save({"state_dict": state}, path, _use_new_zipfile_serialization=zipped)
    found = read(path)
    np.testing.assert_array_equal(found["state_dict.a"], W)
    np.testing.assert_array_equal(found["state_dict.half"].astype("f4"), W.bfloat16().float())
    assert found["state_dict.tied"].why == "tied to state_dict.a"
    assert found["state_dict.sparse"].why == "torch.sparse_coo of torch.float32"
    assert found["state_dict.epoch"] == 3


def test_without_torch_one_is_told_that_it_is_needed(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    (tmp_path / "w.bin").write_bytes(pickle.dumps({}))
    with pytest.raises(ModuleNotFoundError, match="torch reads: pip install torch"):
        checkpoint(tmp_path / "w.bin")


# What is damaged or hostile


class Evil:
    """What makes a folder where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def header(entries, data=b""):
    """A file of safetensors with any header."""
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(start, end, shape=(1,)):
    return {"dtype": "F32", "shape": list(shape), "data_offsets": [start, end]}


DAMAGED = {
    "cut header": header({"a": tensor(0, 4)})[:20],
    "huge header": struct.pack("<Q", 2**60) + b"{}",
    "no json": header(b"{not json}"),
    "outside": header({"a": tensor(0, 400, (100,))}, bytes(4)),
    "overlapping": header({"a": tensor(0, 4), "b": tensor(0, 4)}, bytes(4)),
    "before the start": header(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}'),
    "wrong size": header({"a": tensor(0, 4, (7,))}, bytes(4)),
    "overflowing shape": header({"a": tensor(0, 4, (2**33, 2**33))}, bytes(4)),
    "unknown dtype": header({"a": tensor(0, 4) | {"dtype": "X9"}}, bytes(4)),
    "cut array": b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran",
    "cut archive": b"PK\x03\x04" + bytes(40),
    "msgpack": b"\x81\xa1a" + b"\xc7\xff\x01" + bytes(3),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_gets_one_sentence(name, tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(DAMAGED[name])
    with pytest.raises(ValueError, match="weights must be a sound file of weights: ") as caught:
        read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"GIF89a...", b"hello, world"])
def test_a_file_of_another_kind_is_refused(content, tmp_path):
    (tmp_path / "photo").write_bytes(content)
    with pytest.raises(ValueError, match="photo must be a file of weights, of safetensors"):
        checkpoint(tmp_path / "photo")
    with pytest.raises(ValueError, match="must hold files of weights .*, got a folder without"):
        checkpoint(tmp_path)


def test_what_is_no_file_is_refused(tmp_path):
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ValueError, match="pipe must be a file or a folder"):
            checkpoint(tmp_path / "pipe")


def test_a_dtype_that_numpy_lacks_leaves_out_one_array(tmp_path):
    entries = {"a": tensor(0, 4) | {"dtype": "F8_E5M2", "shape": [4]}, "b": tensor(4, 8)}
    (tmp_path / "w").write_bytes(header(entries, bytes(8)))
    found = read(tmp_path / "w")
    assert found["a"].why == "of F8_E5M2, which NumPy does not have" or found["a"].shape == (4,)
    assert found["b"].shape == (1,)


def test_what_has_no_room_is_said_in_one_sentence(tmp_path):
    head = b"{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000, 100000), }"
    head = head.ljust(117) + b"\n"
    (tmp_path / "w.eqx").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head)
    with pytest.raises(ValueError, match="w.eqx must be a sound file of weights: "):
        read(tmp_path / "w.eqx")


def test_no_file_runs_code(tmp_path):
    made = tmp_path / "made"
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    (hostile / "w.pkl").write_bytes(pickle.dumps(Evil(made)))
    np.savez(hostile / "w.npz", a=np.array([Evil(made)], dtype=object))
    np.save(hostile / "w.npy", np.array([Evil(made)], dtype=object))
    with zipfile.ZipFile(hostile / "w.pt", "w") as archive:
        archive.writestr("w/data.pkl", pickle.dumps(Evil(made)))
        archive.writestr("w/version", "3")
    for path in hostile.iterdir():
        try:
            weight_report(read(path))
        except (ValueError, ModuleNotFoundError) as error:
            assert "\n" not in str(error)
        assert not made.exists()


def test_an_archive_that_is_cut_says_so_where_it_ends(tmp_path):
    np.savez_compressed(tmp_path / "w.npz", a=WEIGHTS["block/0.weight"], b=WEIGHTS["ids"])
    content = bytearray((tmp_path / "w.npz").read_bytes())
    content[200:900] = bytes(700)
    (tmp_path / "w.npz").write_bytes(content)
    with pytest.raises(ValueError, match="must be a sound file of weights"):
        read(tmp_path / "w.npz")


# The command


def test_the_command_prints_a_table_or_what_programs_read(tmp_path, capsys):
    path = tmp_path / "w.safetensors"
    safetensors.save_file(WEIGHTS, path)
    assert command_line.main(["weights", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("block/0.weight  50×30") and lines[-1].startswith("left out: ids")
    assert command_line.main(["weights", str(path), "--json", "--rivals", "--replicas", "2"]) == 0
    read = json.loads(capsys.readouterr().out)
    [first, second] = read["matrices"]
    assert first["matrix"] == [50, 30] and second["matrix"] == [32, 72]
    assert 0 <= first["p_value"] <= 1 and first["exponential"] is not None
    assert [one["name"] for one in read["left_out"]] == ["ids"]
    assert command_line.main(["weights", str(path), "--csv"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("name,shape,rows,matrix,sigma") and len(rows) == 2


def test_pictures_stand_in_the_folder_whatever_the_names(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    path, out = tmp_path / "w.safetensors", tmp_path / "new" / "spectra"
    names = ["../../escape", "/etc/passwd", "a" * 300, "..", "σ w"]
    safetensors.save_file({name: WEIGHTS["block/0.weight"] for name in names}, path)
    assert command_line.main(["weights", str(path), "--figures", str(out)]) == 0
    assert len(list(out.iterdir())) == 5 and all(one.suffix == ".png" for one in out.iterdir())
    assert {one.name for one in tmp_path.iterdir()} == {"w.safetensors", "new"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "No such file or directory"),
        (["w", "--smallest", "1"], "smallest must be an integer of at least 3, got 1"),
        (["w", "--replicas", "-1"], "replicas must be an integer of at least 0, got -1"),
        (["photo"], "photo must be a file of weights"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(arguments, sentence, tmp_path, capsys):
    safetensors.save_file(WEIGHTS, tmp_path / "w")
    (tmp_path / "photo").write_bytes(b"GIF89a")
    assert command_line.main(["weights", str(tmp_path / arguments[0]), *arguments[1:]]) == 2
    output = capsys.readouterr()
    assert sentence in output.err and output.err.count("\n") == 1
