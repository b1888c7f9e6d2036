"""The quality card of a store: what a comparison on it can and cannot show.

``tables`` computes, from arrays, the records of ``records``; ``sheets`` writes their numbers as
cells, which ``text`` prints and ``page`` puts beside the ``figures``. A store hands its arrays
down: see :mod:`nassim.store.card`.
"""
