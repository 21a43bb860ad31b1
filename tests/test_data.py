import jax
import numpy as np
import pytest
from sklearn.datasets import load_digits, load_sample_images

from lazyrich import data, downloads


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(return_X_y=True)
    return (images - images.mean()) / images.std(), labels


@pytest.fixture(scope="module")
def split():
    return data.digits_parity(jax.random.key(0), 500)


def test_each_image_has_the_parity_of_its_digit(digits, split):
    labels = {image.tobytes(): label for image, label in zip(*digits, strict=True)}
    for x, y in ((split.x, split.y), (split.x_test, split.y_test)):
        digit = np.array([labels[image.tobytes()] for image in np.asarray(x)])
        assert (y == np.where(digit % 2 == 0, 1, -1)).all()
        assert set(digit) == set(range(10))


def test_training_and_test_are_all_images_once(digits, split):
    assert split.x.shape == (500, 64) and split.y_test.shape == (1297,)
    both = np.concatenate([split.x, split.x_test])
    assert abs(both.mean()) < 1e-12 and abs(both.std() - 1) < 1e-12
    assert (np.sort(both.sum(1)) == np.sort(digits[0].sum(1))).all()


def test_the_key_chooses_the_images(split):
    again, other = (data.digits_parity(jax.random.key(seed), 500) for seed in (0, 1))
    assert (again.x == split.x).all() and (again.y_test == split.y_test).all()
    assert (other.x != split.x).any()


def test_a_smaller_set_takes_the_first_images_of_a_larger_one(split):
    small = data.digits_parity(jax.random.key(0), 20)
    assert (small.x == split.x[:20]).all() and (small.x_test[:480] == split.x[20:]).all()


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (0, "train must be an integer of at least 1, got 0"),
        (1797, "train must be below 1797, the number of images, got 1797"),
    ],
)
def test_sizes_that_do_not_fit_are_named(train, message):
    with pytest.raises(ValueError, match=message):
        data.digits_parity(jax.random.key(0), train)


# Images as rows of pixels


def test_digits_come_in_their_order_with_pixels_from_zero_to_one():
    images, labels = load_digits(return_X_y=True)
    x, y = data.digits()
    np.testing.assert_array_equal(16 * x, images)
    np.testing.assert_array_equal(y, labels)
    assert x.max() == 1 and ((x == 0).all(axis=0)).sum() == 3
    some = data.digits(150)
    assert (some.x == x[:150]).all() and (some.labels == y[:150]).all()


def test_photographs_are_cut_at_random_and_averaged():
    x, labels = data.photographs(jax.random.key(0), 200)
    assert x.shape == (200, 64) and set(labels.tolist()) == {0, 1}
    grey = [image.mean(-1) / 255 for image in load_sample_images().images]
    # The mean of each patch, among those of all places of its photograph.
    means = []
    for image in grey:
        sums = np.pad(image.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        both = sums[32:] - sums[:-32]
        means.append((both[:, 32:] - both[:, :-32]) / 32**2)
    for patch, label in zip(x[:20], labels[:20], strict=True):
        off = np.abs(means[label] - patch.mean())
        found = False
        for row, column in np.argwhere(off < 1e-12):
            crop = grey[label][row : row + 32, column : column + 32]
            blocks = [block.mean() for rows in np.split(crop, 8) for block in np.split(rows, 8, 1)]
            found |= np.allclose(blocks, patch, rtol=0, atol=1e-12)
        assert found
    again, other = (data.photographs(jax.random.key(seed), 20) for seed in (0, 1))
    assert (again.x == x[:20]).all() and (other.x != again.x).any()


def test_mnist_keeps_every_fourth_pixel(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 28, 28)).astype(np.uint8)
    labels = np.array([5, 0, 4, 1, 9])
    monkeypatch.setattr(data.downloads, "fetch_mnist", lambda: downloads.RawImages(pixels, labels))
    x, y = data.mnist(3)
    assert x.shape == (3, 49) and y.tolist() == [5, 0, 4]
    rows, columns = np.divmod(np.arange(49), 7)
    np.testing.assert_allclose(x, pixels[:3, 4 * rows, 4 * columns] / 255, rtol=1e-14)
    assert len(data.mnist(5).x) == 5


def test_cifar10_is_grey_and_averaged(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    labels = np.array([6, 9, 9, 4])
    images = downloads.RawImages(pixels, labels)
    monkeypatch.setattr(data.downloads, "fetch_cifar10", lambda: images)
    x, y = data.cifar10(3)
    assert x.shape == (3, 64) and y.tolist() == [6, 9, 9]
    for i in range(64):
        row, column = divmod(i, 8)
        block = pixels[:3, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        np.testing.assert_allclose(x[:, i], block.reshape(3, -1).mean(1) / 255, rtol=1e-12)
    assert len(data.cifar10(4).x) == 4


def test_images_that_are_not_there_are_named(monkeypatch):
    few = downloads.RawImages(np.zeros((5, 28, 28), np.uint8), np.zeros(5, int))
    monkeypatch.setattr(data.downloads, "fetch_mnist", lambda: few)
    monkeypatch.setattr(data.downloads, "fetch_cifar10", lambda: few)
    for images, n in ((data.digits, 1797), (data.mnist, 5), (data.cifar10, 5)):
        message = f"samples must be at most {n}, the number of images, got {n + 1}"
        with pytest.raises(ValueError, match=message):
            images(n + 1)
        with pytest.raises(ValueError, match="samples must be an integer of at least 1, got 0"):
            images(0)
    with pytest.raises(ValueError, match="patches must be an integer of at least 1, got 0"):
        data.photographs(jax.random.key(0), 0)
