"""Architectures as numbers, for methods that learn from them. Learned from sources only."""

from nassim.encodings.features import FeatureEncoder, features
from nassim.encodings.tokens import PADDING, UNKNOWN, TokenEncoder, words

__all__ = ["PADDING", "UNKNOWN", "FeatureEncoder", "TokenEncoder", "features", "words"]
