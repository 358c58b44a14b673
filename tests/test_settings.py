import pytest

from sppdet.settings import DetectorSettings, RcnnSettings, SppSettings


@pytest.mark.parametrize(
    ("make", "changes"),
    [
        (SppSettings, {"scales": ()}),
        (SppSettings, {"scales": (0,)}),
        (SppSettings, {"scales": (240.5,)}),
        (SppSettings, {"scales": (True,)}),
        (SppSettings, {"scales": 240}),
        (SppSettings, {"levels": (0,)}),
        (SppSettings, {"longest_side": 0}),
        (RcnnSettings, {"size": -1}),
        (RcnnSettings, {"context": -1}),
        (RcnnSettings, {"levels": ()}),
        (DetectorSettings, {"max_boxes": -1}),
    ],
)
def test_what_has_no_meaning_is_refused_by_name(make: type, changes: dict[str, object]) -> None:
    (name,) = changes
    with pytest.raises(ValueError, match=f"{name}="):
        make(**changes)


def test_defaults_are_those_of_the_paper() -> None:
    assert SppSettings().scales == (688,)
    assert SppSettings().levels == RcnnSettings().levels == (1, 2, 3, 6)
    assert (RcnnSettings().size, RcnnSettings().context) == (227, 16)
