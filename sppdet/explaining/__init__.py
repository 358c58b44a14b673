"""Why a detector finds something: its score as a sum over the bins of the pyramid."""

from sppdet.explaining.explanation import check_explainable, explain, explain_box
from sppdet.explaining.record import Explanation, Neighbour

__all__ = ["Explanation", "Neighbour", "check_explainable", "explain", "explain_box"]
