import json

import pytest

from sppdet.classification.settings import ClassifySettings, command_line


def test_settings_survive_json_and_name_their_command() -> None:
    settings = ClassifySettings("spp5", levels=(1, 2), sizes=(24, 32), average=0.9, seed=2)
    assert ClassifySettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    assert command_line(settings, "D", "R") == (
        "python tools/classify.py train D --network spp5 --output R --levels 1,2 --epochs 20 "
        "--sizes 24,32 --average 0.9 --seed 2"
    )


@pytest.mark.parametrize(
    "wrong", [{"schedule": "x"}, {"size_order": "x"}, {"dropout": 1.0}, {"rate": 0.0}]
)
def test_wrong_settings(wrong: dict) -> None:
    with pytest.raises(ValueError, match="--"):
        ClassifySettings("spp5", **wrong)
