"""Following a network's Python code, while other threads may run networks."""

import threading
from collections.abc import Callable
from typing import Any

from torch import fx, nn

_one_at_a_time = threading.Lock()


class Tracer(fx.Tracer):
    """A tracer that sees the calls of its own thread only.

    While PyTorch's tracer works it stands in the place of the call of every module of the process.
    Another thread that runs a network meanwhile would be taken for a part of what is traced.
    """

    def trace(self, root: Any, concrete_args: dict[str, Any] | None = None) -> fx.Graph:
        """See :meth:`torch.fx.Tracer.trace`."""
        with _one_at_a_time:
            self._thread = threading.get_ident()
            return super().trace(root, concrete_args)

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """See :meth:`torch.fx.Tracer.call_module`."""
        if threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """See :meth:`torch.fx.Tracer.getattr`."""
        if threading.get_ident() != self._thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)
