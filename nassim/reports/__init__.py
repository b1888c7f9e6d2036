"""Reports: ``*_table`` computes plain numbers, ``*_figure`` draws them and computes nothing.

Tables are in :mod:`nassim.reports.termination` and :mod:`nassim.reports.searches`, which stand on
:mod:`nassim.reports.grid`; figures in :mod:`nassim.reports.figures`, the HTML page in
:mod:`nassim.reports.page`. :mod:`nassim.reports.ranking`,
:mod:`nassim.reports.calibration` and :mod:`nassim.reports.sweep` have a table and its figure each,
and :mod:`nassim.reports.oneshot` has what ``nassim rank`` prints, with figures in
:mod:`nassim.reports.rank_figures` and a page in :mod:`nassim.reports.rank_page`.
All read the tables of a study and nothing else.
"""

from nassim.reports.calibration import calibration_figure, calibration_table
from nassim.reports.figures import anytime_figure, curves_figure, front_figure, targets_figure
from nassim.reports.grid import split_settings
from nassim.reports.page import report_page, save_figures
from nassim.reports.ranking import ranking_figure, ranking_table
from nassim.reports.searches import anytime_table, curves_table
from nassim.reports.sweep import sweep_figure, sweep_table
from nassim.reports.termination import comparison_table, termination_table, timings_table

__all__ = [
    "anytime_figure",
    "anytime_table",
    "calibration_figure",
    "calibration_table",
    "comparison_table",
    "curves_figure",
    "curves_table",
    "front_figure",
    "ranking_figure",
    "ranking_table",
    "report_page",
    "save_figures",
    "split_settings",
    "sweep_figure",
    "sweep_table",
    "targets_figure",
    "termination_table",
    "timings_table",
]
