"""SPP-net detection on one page: plain torch and NumPy, slow and obvious.

    python examples/sppnet_in_one_page.py data/sample/fruit.jpg

The page reads the file of a detector and finds what ``Detector.detect`` finds. It imports only the
search for proposals from sppdet. Sections are those of SPP-net (He et al., 2014) and of R-CNN
(Girshick et al., 2014). A box is x1, y1, x2, y2 in pixels; x2 and y2 are exclusive.
"""

import argparse
import json
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from safetensors import safe_open
from torch import Tensor
from torchvision.ops import box_iou, nms

from sppdet.proposals import propose

SHIPPED = Path(str(resources.files("sppdet") / "weights"))
STRIDE, FIRST_CENTER = 16, 7.5  # the cells of the feature map, in pixels of the trunk's input


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Step 1. Read a safetensors file: the tensors, widened to float32, and the metadata."""
    with safe_open(str(path), framework="pt") as file:
        names = file.keys()
        return {name: file.get_tensor(name).float() for name in names}, file.metadata()


def feature_map(pixels: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """Step 2. The trunk, a small ResNet: (1, 3, H, W) to (1, 256, H // 16, W // 16)."""

    def convolve(x: Tensor, name: str, stride: int = 1) -> Tensor:
        conv, norm = f"features.{name}.conv.", f"features.{name}.norm."
        kernel = weights[conv + "weight"]
        x = F.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)
        mean, variance = weights[norm + "running_mean"], weights[norm + "running_var"]
        return F.batch_norm(x, mean, variance, weights[norm + "weight"], weights[norm + "bias"])

    x = F.relu(convolve(pixels, "stem", stride=2))
    for stage in (1, 2, 3):
        x = F.relu(convolve(F.max_pool2d(x, 2), f"widen{stage}"))
        inner = F.relu(convolve(x, f"block{stage}.inner"))
        x = F.relu(x + convolve(inner, f"block{stage}"))
    return x


def resize(image: np.ndarray, short_side: int, longest_side: int) -> np.ndarray:
    """Step 3. Resize the shorter side to ``short_side`` pixels (SPP-net, section 4.1)."""
    height, width = image.shape[:2]
    factor = min(short_side / min(height, width), longest_side / max(height, width))
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    shrinks = size[0] < width or size[1] < height
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def normalise(image: np.ndarray, mean: list[float], std: list[float]) -> Tensor:
    """Step 3. Pixels (H, W, 3) to the trunk's input; a side has at least 64 pixels."""
    x = (torch.from_numpy(image).float() / 255 - torch.tensor(mean)) / torch.tensor(std)
    right, below = max(64 - image.shape[1], 0), max(64 - image.shape[0], 0)
    return F.pad(x.permute(2, 0, 1)[None], (0, right, 0, below))


def map_windows(boxes: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Step 4. The cells whose centres lie inside each box (SPP-net, appendix A).

    ``boxes`` are in pixels of the resized image. A box without a centre gets the nearest cell.
    """
    low, high = (boxes[:, :2] - FIRST_CENTER) / STRIDE, (boxes[:, 2:] - FIRST_CENTER) / STRIDE
    first, last = np.floor(low) + 1, np.ceil(high) - 1
    none, nearest = first > last, np.ceil((low + high) / 2 - 0.5)
    first, last = np.where(none, nearest, first), np.where(none, nearest, last)
    limit = np.array([columns, rows]) - 1
    return np.hstack([np.clip(first, 0, limit), np.clip(last, 0, limit) + 1]).astype(int)


def pyramid(window: np.ndarray, levels: list[int]) -> np.ndarray:
    """Step 5. Spatial pyramid pooling (SPP-net, section 2.2): (h, w, channels) to a vector.

    Bin i of n over h cells spans floor(i h / n) to ceil((i + 1) h / n), so that no bin is empty.
    """
    h, w = window.shape[:2]
    bins = []
    for n in levels:
        for i in range(n):
            for j in range(n):
                y1, y2 = i * h // n, -(-(i + 1) * h // n)
                x1, x2 = j * w // n, -(-(j + 1) * w // n)
                bins.append(window[y1:y2, x1:x2].max(axis=(0, 1)))
    return np.concatenate(bins)


def regress(boxes: Tensor, deltas: Tensor, width: int, height: int) -> Tensor:
    """Step 7. Box regression (R-CNN, appendix C): shift the centres and scale the sides."""
    sides = boxes[:, 2:] - boxes[:, :2]
    centres = boxes[:, :2] + sides / 2 + deltas[:, :2] * sides
    sides = sides * deltas[:, 2:].clamp(-4, 4).exp()
    limits = torch.tensor([width, height, width, height])
    return torch.cat([centres - sides / 2, centres + sides / 2], 1).clamp(min=0).minimum(limits)


def lower_groups(boxes: Tensor, scores: Tensor, penalty: float) -> Tensor:
    """A box that holds two others of its class is probably a group: its score goes down.

    It holds those of less than 0.7 of its area that lie in it with at least 0.75 of theirs. The
    first is the best of them, the second the best whose IoU with the first is at most 0.2.
    """
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    lower = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
    upper = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    inside = (upper - lower).clamp(min=0).prod(2) >= 0.75 * area
    held = inside & (area > 0) & (area < 0.7 * area[:, None])
    overlap, lowered = box_iou(boxes, boxes), scores.clone()
    for row, ones in enumerate(held):  # the candidates are in order: the best first
        first = ones.nonzero()[:1, 0]
        second = (ones & (overlap[first] <= 0.2).any(0)).nonzero()[:1, 0]
        lowered[row] -= penalty * (scores[second] + 0.6).clamp(min=0).sum()
    return lowered


def vote(kept: Tensor, boxes: Tensor, scores: Tensor, least_iou: float) -> Tensor:
    """Step 9. Box voting (Gidaris and Komodakis, 2015): a weighted mean of overlapping boxes.

    A box votes with weight exp(score) if its score is at most 2 below that of the detection.
    """
    lead = scores - scores[kept][:, None]
    votes = (box_iou(boxes[kept], boxes) > least_iou) & (lead >= -2)
    weight = torch.where(votes, lead.double().exp(), 0)
    total = weight.sum(1, keepdim=True)
    return torch.where(total > 0, weight @ boxes.double() / total, boxes[kept])


@torch.inference_mode()
def detect(
    image: np.ndarray, path: Path, threshold: float = 0.0
) -> list[tuple[str, float, list[float]]]:
    """The whole method: an image (H, W, 3) to (class, probability, box), the best first."""
    heads, metadata = read(path)
    description = json.loads(metadata["sppdet"])
    trunk, extractor, settings = (description[k] for k in ("trunk", "extractor", "settings"))
    own = {k.removeprefix("trunk."): v for k, v in heads.items() if k.startswith("trunk.")}
    plain = extractor["method"] == "spp" and not extractor["normalize_levels"]
    usual = trunk["name"] == "small" and description.get("heads", "linear") == "linear"
    if not plain or not usual or len(extractor["scales"]) > 1:
        raise SystemExit(
            f"{path}: the page runs SPP-net at one scale with SVMs and the trunk small"
        )
    weights = own or read(SHIPPED / "small.safetensors")[0]
    preprocessing = json.loads(trunk["preprocessing"])

    # Selective search proposes about 2,000 boxes (R-CNN, section 2.1).
    boxes = propose(image, settings["proposals"], settings["max_boxes"])
    height, width = image.shape[:2]

    # The trunk sees the image once. Each box becomes a window on the map, then a vector.
    small = resize(image, extractor["scales"][0], extractor["longest_side"])
    pixels = normalise(small, preprocessing["mean"], preprocessing["std"])
    cells = feature_map(pixels, weights)[0].permute(1, 2, 0).numpy()
    factors = np.array([small.shape[1] / width, small.shape[0] / height] * 2)
    features = torch.zeros(len(boxes), heads["svm.weight"].shape[1])
    for row, (x1, y1, x2, y2) in enumerate(map_windows(boxes * factors, *cells.shape[:2])):
        features[row] = torch.from_numpy(pyramid(cells[y1:y2, x1:x2], extractor["levels"]))

    # Step 6. Linear SVMs, one per class (R-CNN, section 2.3). A bias of NaN marks an untrained one.
    all_scores = features @ heads["svm.weight"].T + heads["svm.bias"]

    found, selection = [], settings["selection"]
    for label, name in enumerate(description["classes"]):
        if heads["svm.bias"][label].isnan():
            continue
        best = all_scores[:, label].argsort(descending=True, stable=True)
        best = best[: selection["max_candidates"]]
        scores, moved = all_scores[best, label], torch.from_numpy(boxes)[best]
        if "box.weight" in heads:
            deltas = features[best] @ heads["box.weight"][label].T + heads["box.bias"][label]
            moved = regress(moved, deltas, width, height)
        scores = lower_groups(moved, scores, selection.get("group_penalty", 0))
        # Step 8. Non-maximum suppression within the class (R-CNN, section 2.2).
        kept = nms(moved, scores, selection["nms_iou"])[: selection["max_per_class"]]
        voting = selection["voter_iou"] < 1
        final = vote(kept, moved, scores, selection["voter_iou"]) if voting else moved[kept]
        # Step 10. A logistic function turns the score into a probability (Platt, 1999).
        slope, offset = heads["calibration"][label]
        probabilities = torch.sigmoid(slope * scores[kept] + offset)
        for probability, box in zip(probabilities.tolist(), final.tolist(), strict=True):
            if probability >= threshold:
                found.append((name, probability, box))
    return sorted(found, key=lambda detection: -detection[1])


def main() -> None:
    parser = argparse.ArgumentParser(description="Find objects with SPP-net.")
    parser.add_argument("image", type=Path)
    parser.add_argument("--model", type=Path, default=SHIPPED / "detector.safetensors")
    parser.add_argument("--threshold", type=float, default=0.35, help="least probability")
    given = parser.parse_args()
    image = np.array(ImageOps.exif_transpose(Image.open(given.image)).convert("RGB"))
    for name, probability, box in detect(image, given.model, given.threshold):
        print(f"{name:10} {probability:.3f}  " + " ".join(f"{value:7.1f}" for value in box))


if __name__ == "__main__":
    main()
