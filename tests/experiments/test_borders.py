"""The study of borders, in its smallest form."""

import json

import pytest

import launch


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    directory = tmp_path_factory.mktemp("borders") / "run"
    assert launch.main(["borders", "smoke", "--workdir", str(directory)]) == 0
    assert (directory / "report.html").exists()
    results = json.loads((directory / "results.json").read_text("utf-8"))
    return {row["border"]: row for row in results["rows"]}


def test_a_valid_border_gives_the_place_away(rows):
    """The negative control: where nothing surrounds the image, the swap is noticed."""
    assert rows["valid"]["accuracy_similar"]["mean"] >= 0.99
    assert rows["valid"]["accuracy_dissimilar"]["mean"] <= 0.01
    assert rows["valid"]["equal"] is False


def test_a_circular_border_hides_it_to_the_last_digit(rows):
    row = rows["circular"]
    assert row["accuracy_similar"] == row["accuracy_dissimilar"]
    assert row["equal"] is True


@pytest.mark.fast
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--strides", "1", "2"], r"features \(32, 32, 64, 64\) and strides \(1, 2\)"),
        (["--train-images", "0"], "train_images must be at least 1, got 0"),
        (["--seeds", "1", "1"], "seeds must name at least one, each once, got 1, 1"),
    ],
)
def test_wrong_input_is_one_sentence(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        launch.main(["borders", *arguments])
    assert stopped.value.code == 2
    import re

    assert re.search(message, re.sub(r"[\s│]+", " ", capsys.readouterr().err))
