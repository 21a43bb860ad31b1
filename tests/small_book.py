"""A small book, of chapters that sweep, for tests that interrupt what computes it."""

from nbformat import v4

from lazyrich.book import notebooks

CODE = (
    'scale = "book"\nseed = 0',
    """
import jax
import matplotlib.pyplot as plt
import numpy as np

jax.config.update("jax_enable_x64", True)

import points
from lazyrich.book import checks, claims, figures, scales, sweeps

size = scales.sizes(scale, numbers=(range(3, 9), range(3, 12), range(3, 15)))
key = jax.random.key(seed)
""",
    """
results = sweeps.sweep(points.slow, sweeps.grid(number=list(size.numbers)), key)
found = np.stack([one["draw"] for one in results])
figure, axes = plt.subplots()
axes.plot(found.mean(1), "o")
figures.show("fig-means", figure, figures.table({"number": size.numbers, "mean": found.mean(1)}))
""",
    """
figure, axes = plt.subplots()
axes.plot(found.max(1), "o")
axes.axhline(0)
figures.show("fig-maxima", figure, figures.table({"number": size.numbers, "max": found.max(1)}))
claims.claim(
    "M1", "The draws are finite.", checks.exactly("shape", str(found.shape[1:]), "(3,)"),
    answers="§1", relation="beyond", kind="identity", sources=["paper"],
    read={"paper": claims.Source("A paper")}, scale=scale,
)
""",
)


def write(folder, names=("one",)):
    """Write a book of such chapters into a new folder."""
    folder.mkdir()
    cells = []
    for number, source in enumerate(CODE):
        cells.append(v4.new_markdown_cell(f"Part {number}.", id=f"text-{number}"))
        cells.append(v4.new_code_cell(source.strip(), id=f"code-{number}"))
    cells[1].metadata.tags = ["parameters"]
    for cell, name in ((cells[5], "fig-means"), (cells[7], "fig-maxima")):
        caption = (
            "Draws against their number. It tests the paper's Figure 2 at $n < 20$: they grow."
        )
        cell.metadata.mystnb = {"figure": {"name": name, "caption": caption}}
    for index, name in enumerate(names):
        chapter = v4.new_notebook(cells=cells)
        text = notebooks.text(chapter).replace('\\"M1\\"', f'\\"M{index + 1}\\"')
        (folder / f"{name}.ipynb").write_text(text)
