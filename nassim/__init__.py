"""nassim: a benchmark-backed simulator for neural architecture search.

>>> import nassim
>>> nassim.__version__
'0.1.0'
"""

__version__ = "0.1.0"
