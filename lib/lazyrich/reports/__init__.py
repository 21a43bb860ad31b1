"""Reports on the weights of a network of one's own, and the files that weights come in."""

from lazyrich.reports.checkpoints import Checkpoint, checkpoint
from lazyrich.reports.matrices import outputs_first
from lazyrich.reports.random_tails import random_hill
from lazyrich.reports.spectrum_figures import plot_spectrum
from lazyrich.reports.weight_reports import LeftOut, MatrixReport, WeightReport, weight_report
