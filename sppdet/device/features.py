"""SPP-net's features on a device: from a packed image to the pooled windows."""

import threading
from collections.abc import Callable, Hashable, Sequence

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from sppdet.boxes import Boxes
from sppdet.device.clearing import split_masks
from sppdet.device.graphs import Graphs
from sppdet.device.layout import Layout, pack
from sppdet.device.network import DeviceNetwork
from sppdet.device.windows import canvas_cells, canvas_windows, on_canvas
from sppdet.features.spp import SppRegionFeatures
from sppdet.features.window_pooling_torch import pool_windows_torch
from sppdet.images import Rgb

Event = torch.cuda.Event


class DeviceFeatures:
    """The network of a trunk with its graphs, and the windows and their pooling behind it.

    Attributes:
        network: the trunk's.
        graphs: of all work on the device.
        lock: held while work is queued.
    """

    def __init__(self, extractor: SppRegionFeatures) -> None:
        self.extractor = extractor
        self.device = extractor.trunk.device
        self.network = DeviceNetwork(extractor.trunk, rounds=True)
        self.graphs = Graphs(self.device)
        self.lock = threading.Lock()
        self._cells: dict[tuple[tuple[int, int], ...], Tensor] = {}
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)  # what was made so far is on another stream

    def pack(
        self,
        resized: Sequence[Rgb],
        size: tuple[int, int],
        boxes: Boxes,
        thresholds: ArrayLike = (),
    ) -> tuple[Layout, Tensor]:
        """:func:`sppdet.device.layout.pack` for this network."""
        return pack(self.extractor, resized, size, boxes, thresholds, self.network.rounding)

    def settle(self, layout: Layout, buffer: Tensor) -> None:
        """:meth:`DeviceNetwork.settle` by the first image of a packed buffer."""
        self.network.settle(layout.views(buffer).images[0].to(self.device))

    def maps(self, layout: Layout, buffer: Tensor) -> list[Tensor]:
        """The map (rows, columns, channels) of each resized image, or of its canvas."""
        packed = layout.views(buffer)
        if not layout.strips:
            return [self.network.map(one) for one in packed.images]
        masks = [
            split_masks((rows.view(torch.bool), columns.view(torch.bool)), strips)
            for (rows, columns), strips in zip(packed.masks, layout.strips, strict=True)
        ]
        return [self.network.map(*one) for one in zip(packed.images, masks, strict=True)]

    def windows(self, layout: Layout, buffer: Tensor, maps: list[Tensor]) -> Tensor:
        """(boxes, 4) int32 on the canvas of the maps."""
        packed = layout.views(buffer)
        cells = packed.cells if layout.strips else self._cells_of(maps)
        return canvas_windows(packed.boxes, packed.numbers[:-3], cells)

    def pooled(self, layout: Layout, buffer: Tensor) -> tuple[Tensor, Tensor]:
        """The features (boxes, bins, channels) of the network's kind, and a number that is finite
        if all maps are."""
        maps = self.maps(layout, buffer)
        windows = self.windows(layout, buffer, maps)
        finite = torch.stack([one.sum(dtype=torch.float32) for one in maps]).sum()
        levels = self.extractor.settings.levels
        return pool_windows_torch(on_canvas(maps), windows, levels), finite

    def queue(
        self, key: Hashable, work: Callable[[Tensor], Tensor], buffer: Tensor
    ) -> tuple[Tensor, Event | None]:
        """Call a function of the packed buffer on the device, under the lock; see
        :meth:`sppdet.device.graphs.Graphs.call`.

        Returns:
            Its result on the host, pinned, and the event after which it is there.
        """
        output = self.graphs.call((key, self.network.kind), work, buffer)
        if self.graphs.stream is None:
            return output, None
        with torch.cuda.stream(self.graphs.stream):
            host = torch.empty(output.shape, dtype=output.dtype, pin_memory=True)
            host.copy_(output, non_blocking=True)
            event = Event(blocking=True)
            event.record()
        return host, event

    def _cells_of(self, maps: list[Tensor]) -> Tensor:
        """:func:`canvas_cells` on the device. Sizes that are new are copied there, which no graph
        does: a call is captured when it comes again."""
        sizes = tuple((one.shape[0], one.shape[1]) for one in maps)
        if sizes not in self._cells:
            cells = torch.tensor(canvas_cells(sizes), dtype=torch.float64)
            self._cells[sizes] = cells.to(self.device)
        return self._cells[sizes]
