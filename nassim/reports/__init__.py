"""Reports: ``*_table`` computes plain numbers, ``*_figure`` draws them and computes nothing."""
