"""Contracts as code, and planted data whose truth is known. Importable by outsiders.

>>> from nassim.checks.terminators import check_terminator
>>> len(check_terminator("never")) > 10  # names of the checks that it passed
True
"""
