"""Reports: ``*_table`` computes plain numbers, ``*_figure`` draws them and computes nothing.

Tables are in :mod:`nassim.reports.termination`, figures in :mod:`nassim.reports.figures`, the HTML
page in :mod:`nassim.reports.page`. All read the tables of a study and nothing else.
"""

from nassim.reports.figures import anytime_figure, curves_figure, front_figure, targets_figure
from nassim.reports.page import report_page, save_figures
from nassim.reports.termination import (
    anytime_table,
    comparison_table,
    curves_table,
    split_settings,
    termination_table,
    timings_table,
)

__all__ = [
    "anytime_figure",
    "anytime_table",
    "comparison_table",
    "curves_figure",
    "curves_table",
    "front_figure",
    "report_page",
    "save_figures",
    "split_settings",
    "targets_figure",
    "termination_table",
    "timings_table",
]
