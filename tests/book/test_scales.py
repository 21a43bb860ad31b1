import pytest

from lazyrich.book import scales


def test_sizes_are_those_of_the_scale():
    choices = {"seeds": (4, 24, 200), "widths": ([64], [64, 256], [64, 256, 1024])}
    for i, scale in enumerate(scales.SCALES):
        chosen = scales.sizes(scale, **choices)
        assert vars(chosen) == {name: choice[i] for name, choice in choices.items()}


def test_sizes_that_do_not_fit_are_named():
    with pytest.raises(
        ValueError, match="scale must be one of 'quick', 'book', 'paper', got 'large'"
    ):
        scales.sizes("large", seeds=(1, 2, 3))
    with pytest.raises(ValueError, match=r"seeds must be a triple .*, got \(1, 2\)"):
        scales.sizes("book", seeds=(1, 2))
