import numpy as np
import pytest
import torch

from sppdet.heads.examples import Chosen, ClassExamples


@pytest.fixture
def chosen():
    """Makes regions of one image: features (M, D) become examples."""

    def make(features, image: int = 0, first: int = 0, roles=None) -> Chosen:
        features = torch.as_tensor(features)
        roles = np.zeros((len(features), 1), np.int8) if roles is None else np.asarray(roles, "i1")
        return Chosen(features.half(), roles, first + np.arange(len(features)), image)

    return make


@pytest.fixture
def filled(chosen):
    """Makes the examples of a class, added in three portions, one image each."""

    def make(features, signs) -> ClassExamples:
        store = ClassExamples(features.shape[1], 1)
        for part in np.array_split(np.arange(len(signs)), 3):
            store.add([(int(signs[i]), chosen(features[i : i + 1], i, i)) for i in part], scale=1.0)
        return store

    return make
