"""The machinery that makes a book of theory: claims, figures, sweeps, and the chapters they fill.

It knows no paper, and another book could be made with it.
"""
