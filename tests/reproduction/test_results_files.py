"""One file for each training: written, read back, and refused where it is not what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_results import fill, made_result

from dynabert.errors import UserError
from dynabert.reproduction.markdown import README, readme
from dynabert.reproduction.plan import read_plan
from dynabert.reproduction.results import (
    RESULTS_DIR,
    as_json,
    as_table,
    list_results,
    read_result,
    read_results,
    result_path,
    write_result,
)
from dynabert.subnet import Subnet
from dynabert.training import Recipe

ROOT = Path(__file__).resolve().parents[2]


def test_a_result_comes_back_as_it_was(tmp_path):
    result = made_result(
        scores={Subnet(): 0.123456, Subnet(0.5, 0.5): 0.5}, collapsed=[Subnet(0.5, 0.5)]
    )
    path = write_result(tmp_path, result)
    assert path == tmp_path / "minilm" / "mrpc" / "vanilla-w-s0.json"
    assert as_json(read_result(path)) == as_json(result)
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # nothing half-written


def test_a_field_that_recipes_did_not_have_yet_changes_no_budget():
    """Old seeds and new ones are averaged where they were trained alike."""
    results = read_results(ROOT / RESULTS_DIR)
    assert results
    for result in results:
        now = Recipe.model_validate(result.stages).model_dump(mode="json")
        assert result.budget == result.model_copy(update={"stages": now}).budget
        for stage in now["stages"]:
            stage["epochs"] = 99
        assert result.budget != result.model_copy(update={"stages": now}).budget


def test_the_file_has_a_line_for_each_sub_network_and_a_fixed_order(tmp_path):
    scores = {Subnet(0.25): 0.1, Subnet(1.0): 0.2, Subnet(0.5): 0.3}
    text = as_json(made_result(scores=scores))
    assert text == as_json(made_result(scores=dict(reversed(scores.items()))))
    lines = [line for line in text.splitlines() if '"subnet"' in line]
    assert [json.loads(line.strip().rstrip(","))["metrics"]["accuracy"] for line in lines] == [
        0.2,
        0.3,
        0.1,
    ]
    names = [line.split('"')[1] for line in text.splitlines() if line.startswith(' "')]
    assert names[:-1] == sorted(names[:-1])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task", "../other"),
        ("recipe", "a/b"),
        ("recipe", ".hidden"),
        ("backbone", ".."),
        ("task", ""),
    ],
)
def test_no_name_leads_out_of_the_folder(tmp_path, name, value):
    names = {"backbone": "minilm", "task": "mrpc", "recipe": "vanilla-w"} | {name: value}
    with pytest.raises(UserError, match="cannot name the folder or file"):
        result_path(tmp_path, **names, seed=0)


def test_a_backbone_from_the_hub_or_a_folder_has_a_folder_of_its_own(tmp_path):
    path = result_path(tmp_path, "google-bert/bert-base-uncased", "rte", "vanilla", 3)
    assert path == tmp_path / "bert-base-uncased" / "rte" / "vanilla-s3.json"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: text[:100], "is damaged"),
        (
            lambda text: text.replace('"collapsed": false', '"collapsed": "perhaps"'),
            "rows.0.collapsed",
        ),
        (lambda text: text.replace('"steps"', '"stairs"'), "stairs"),
        (
            lambda text: text.replace('"task": "mrpc"', '"task": "rte"'),
            "does not belong where it lies",
        ),
    ],
)
def test_a_damaged_file_is_named(tmp_path, spoil, said):
    path = write_result(tmp_path, made_result())
    path.write_text(spoil(path.read_text()))
    with pytest.raises(UserError, match=said) as error:
        read_results(tmp_path)
    assert str(path) in str(error.value)


def test_a_folder_becomes_a_table_with_a_row_for_each_sub_network(tmp_path):
    write_result(tmp_path, made_result(scores={Subnet(): 0.8, Subnet(0.5): 0.7}))
    write_result(
        tmp_path,
        made_result("cola", "dynabert-w", 7, {Subnet(0.25): 0.3}, collapsed=[Subnet(0.25)]),
    )
    (tmp_path / "minilm" / "latency.json").write_text("[]")
    (tmp_path / README).write_text("")
    table = as_table(read_results(tmp_path))
    assert len(table) == 3
    assert list(table["task"]) == ["cola", "mrpc", "mrpc"]
    cola = table.iloc[0]
    assert (cola["mcc"], cola["collapsed"], cola["seed"], cola["width_mult"]) == (
        0.3,
        True,
        7,
        0.25,
    )
    assert cola["latency_ms_batch128"] == pytest.approx(128 * cola["num_params"] / 1e6)
    assert table["accuracy"].isna().tolist() == [True, False, False]


def test_no_folder_has_no_results(tmp_path):
    assert read_results(tmp_path / "none") == []
    assert len(list(list_results(fill(tmp_path, ["rte"], [0], ["table8"])))) == 3


def test_the_committed_readme_is_current():
    plan = read_plan(ROOT / "benchmarks" / "reproduction.yaml")
    results = read_results(ROOT / RESULTS_DIR)
    written = (ROOT / RESULTS_DIR / README).read_text(encoding="utf-8")
    assert written == readme(results, plan.without), "run: python -m dynabert reproduce --readme"
