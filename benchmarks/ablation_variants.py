"""The choices that ablations.py changes, and the features and heads of each."""

from dataclasses import dataclass, field
from typing import Any

from sampled_regions import SampledRegionFeatures

from sppdet.features.rcnn import RcnnRegionFeatures
from sppdet.features.regions import RegionExtractor
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.connected import Connected, ConnectedSvms
from sppdet.heads.linear import LinearSvms
from sppdet.settings import MiningSettings, RcnnSettings, SppSettings
from sppdet.trunks import Trunk

FIVE = (480, 576, 688, 864, 1200)
"""The paper's scales; the trunk's first scale stands in the place of 688."""


@dataclass(frozen=True)
class Variant:
    """One changed choice.

    Attributes:
        choice: which choice it changes; ``--only`` names these.
        name: what it is instead.
        features: settings of SPP-net's features that differ; ``scales`` 5 means the paper's five.
        training: settings of the training that differ.
        selection: settings of the selection that differ.
        heads: a name in :func:`heads_of`.
        method: spp, rcnn or sampled (:mod:`sampled_regions`).
    """

    choice: str
    name: str
    features: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    selection: dict[str, Any] = field(default_factory=dict)
    heads: str = "svm"
    method: str = "spp"


VARIANTS = (
    Variant("baseline", "SPP-net, 1 scale, levels 1,2,3,6, max, SVMs"),
    Variant("levels", "1", {"levels": (1,)}),
    Variant("levels", "1,2", {"levels": (1, 2)}),
    Variant("levels", "1,2,4", {"levels": (1, 2, 4)}),
    Variant("levels", "7: 49 bins, one level", {"levels": (7,)}),
    Variant("pooling", "average", {"pooling": "average"}),
    Variant("scales", "5", {"scales": 5}),
    Variant("mapping", "code: 6.5 px at stride 16", {"mapping": "code"}),
    Variant("mapping", "nearest centres", {"mapping": "nearest"}),
    Variant("mapping", "samples between cells, as RoIAlign", method="sampled"),
    Variant("regression", "none", training={"box_regression": False}),
    Variant("groups", "not lowered", selection={"group_penalty": 0.0}),
    Variant("mining", "none", training={"mining": MiningSettings(hard_per_image=0)}),
    Variant("heads", "softmax on fine-tuned layers", heads="connected"),
    Variant("heads", "SVMs on the same fc7", heads="connected-svm"),
    Variant("method", "R-CNN", method="rcnn"),
)


def heads_of(name: str) -> LinearSvms | Connected | ConnectedSvms:
    """What learns from the features."""
    if name == "svm":
        return LinearSvms()
    return Connected() if name == "connected" else ConnectedSvms(Connected(), LinearSvms())


def extractor_of(variant: Variant, trunk: Trunk) -> RegionExtractor:
    """The features of a variant."""
    if variant.method == "rcnn":
        return RcnnRegionFeatures(trunk, RcnnSettings(trunk.spec.crop, trunk.spec.context))
    chosen = dict(variant.features)
    base = trunk.spec.scales[0]
    scales = (base,)
    if chosen.pop("scales", 1) == 5:
        scales = tuple(round(base * side / 688 / 16) * 16 for side in FIVE)
    kind = SampledRegionFeatures if variant.method == "sampled" else SppRegionFeatures
    return kind(trunk, SppSettings(scales, **chosen))
