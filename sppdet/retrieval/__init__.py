"""More like this: regions of photographs that resemble one example."""

from sppdet.retrieval.exemplar import ExemplarSettings, fit_exemplar
from sppdet.retrieval.search import Match, Matches, find_like

__all__ = ["ExemplarSettings", "Match", "Matches", "find_like", "fit_exemplar"]
