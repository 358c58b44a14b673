"""Every kernel compiles for a GPU, for all types of numbers, where there is none too.

Triton's interpreter, in which the other tests run the kernels, knows no types of values.
"""

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from sppdet.device.layer_kernels import depthwise_kernel, direct_kernel, pointwise_kernel
from sppdet.features.pooling_kernels import pool_kernel, run_kernel

INTEGERS = "i32"
FORMS = [
    (run_kernel, "source table", "", dict(DEPTH=3, FROM=1, TILE=8, BLOCK=64, EVEN=False)),
    (depthwise_kernel, "maps weight bias result", "least most",
     dict(KERNEL=5, STRIDE=2, NEAR=1, CELLS=8, BLOCK=64)),
    (direct_kernel, "maps weight bias result", "least most",
     dict(INPUTS=3, KERNEL=3, STRIDE=2, NEAR=1, CELLS=32, BLOCK=32)),
]
if sys.argv[1] != "fp32":
    FORMS.append((pointwise_kernel, "pixels weight bias result", "least most",
                  dict(ROWS=64, COLUMNS=64, DEPTH=32)))
for LONG in (False, True):
    for LEVEL, UNROLLED in ((3, True), (9, False)):
        FORMS.append((pool_kernel, "table pooled", "", dict(
            LEVEL=LEVEL, NESTED=2 if UNROLLED else 0, OFFSETS=0, UNROLLED=UNROLLED, DEPTH=3,
            LONG=LONG, BLOCK=64, EVEN=True)))
kind = sys.argv[1]
done = []
for kernel, arrays, numbers, constants in FORMS:
    signature = {name: "i32" for name in kernel.arg_names}
    signature |= {name: "*" + kind for name in arrays.split()}
    signature |= {name: "fp32" for name in numbers.split()}
    signature |= {"windows": "*i32"} if "windows" in signature else {}
    signature |= {name: "constexpr" for name in constants}
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
    found = triton.compile(source, target=GPUTarget("cuda", 90, 32))
    done.append([kernel.__name__, sorted(found.asm)])
print(json.dumps(done))
"""


@pytest.mark.parametrize("kind", ["fp16", "bf16", "fp32"])
def test_kernels_compile(kind: str) -> None:
    pytest.importorskip("triton")
    environment = {name: text for name, text in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, kind],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    kernels = json.loads(done.stdout)
    assert len(kernels) == (7 if kind == "fp32" else 8)
    assert all("ptx" in stages for _, stages in kernels)
