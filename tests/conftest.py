import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets: SPPDET_DATA, or ../shared/data beside the checkout."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SPPDET_DATA", default))
    if not folder.is_dir():
        pytest.skip("the real data sets are not here (set SPPDET_DATA)")
    return folder


@pytest.fixture(autouse=True)
def _private_cache(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("SPPDET_CACHE", str(tmp_path_factory.getbasetemp() / "sppdet-cache"))
