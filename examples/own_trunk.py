"""A trunk of one's own: any network that maps an image to a feature map.

Here it is the trunk that ships, cut one pooling earlier: cells of 8 px instead of 16 px. Where the
cells lie is derived from the layers. For a network that cannot be followed it is found by
perturbing pixels, or given as `geometry=MapGeometry(stride, first_center)`.

    python examples/own_trunk.py            # rendered scenes, about a minute
    python examples/own_trunk.py photos     # labelled photographs in photos/train, photos/test
"""

import sys
import tempfile
from pathlib import Path

from torch import nn

import sppdet
from sppdet.datasets.scenes import write_scenes
from sppdet.features.spp import SppRegionFeatures
from sppdet.settings import SppSettings
from sppdet.trunks import Trunk, make_trunk


def stride_8() -> Trunk:
    """The layers of `small` up to its third pooling: 128 channels."""
    whole = sppdet.load_trunk("small")
    layers = dict(whole.network.get_submodule("features").named_children())
    kept = list(layers)[: list(layers).index("pool3")]
    network = nn.Sequential(*(layers[name] for name in kept))
    return make_trunk(network, whole.preprocessing, name="small-stride-8", scales=(240,))


def main(data: str | None = None) -> float:
    """Train on the trunk, save, load, test; print and return the mean average precision."""
    trunk = stride_8()
    print(trunk)
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(data or folder)
        if data is None:
            write_scenes(photos / "train", 40, seed=0, size=(320, 240))
            write_scenes(photos / "test", 15, seed=1, size=(320, 240))
        extractor = SppRegionFeatures(trunk, SppSettings(trunk.spec.scales))
        result = sppdet.train(sppdet.read_dataset(photos, "train"), extractor)
        # The file names the trunk but does not hold it: the trunk is given again to load it.
        model = Path(folder) / "own.safetensors"
        result.detector.save(model)
        detector = sppdet.Detector.load(model, trunk=trunk)
        figures = sppdet.evaluate(detector, sppdet.read_dataset(photos, "test"))
    print(f"mean AP {figures.map_11:.3f}")
    return figures.map_11 or 0.0


if __name__ == "__main__":
    main(*sys.argv[1:2])
