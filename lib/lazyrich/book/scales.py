"""Scales: how large the sizes of a chapter are, to try, as in the book, and as in the paper."""

from types import SimpleNamespace

from lazyrich import validation

SCALES = ("quick", "book", "paper")


def sizes(scale: str, **choices: tuple) -> SimpleNamespace:
    """The sizes of a chapter at a scale, each given as a triple (quick, book, paper).

    >>> sizes("book", seeds=(4, 24, 200), widths=([64], [64, 256], [64, 256, 1024])).widths
    [64, 256]
    """
    position = SCALES.index(validation.one_of("scale", scale, SCALES))
    for name, choice in choices.items():
        if not isinstance(choice, tuple) or len(choice) != len(SCALES):
            raise ValueError(f"{name} must be a triple (quick, book, paper), got {choice!r}")
    return SimpleNamespace(**{name: choice[position] for name, choice in choices.items()})
