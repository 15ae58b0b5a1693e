"""A table of layers' times tells those of whole networks, where times are what they should be."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make_hf
from safetensors import safe_open
from safetensors.numpy import save_file
from tiny_run import write_tiny_run

from dynabert import DynaBertForQuestionAnswering, DynaBertForSequenceClassification, Subnet
from dynabert.errors import UserError
from dynabert.evaluation import latency_parts
from dynabert.evaluation.latency_parts import measure_latency_table, random_networks
from dynabert.evaluation.latency_table import (
    LatencyTable,
    find_latency_table,
    keep_latency_table,
    table_path,
)
from dynabert.subnet import FULL

MAX_TOKENS = 24
PASS, LAYER, TOKEN, FACTOR = 0.7, 0.05, 0.004, 1.1


def attention_ms(heads: int, entering: int, leaving: int) -> float:
    """Linear in heads, in tokens and in the share that leaves, as a table is between its values."""
    kept = heads * entering * 0.01
    return kept if leaving == entering else 0.2 + kept * (0.5 + 0.5 * leaving / entering)


def feed_forward_ms(neurons: int, tokens: int) -> float:
    return 0.02 + neurons * tokens * 0.0002


def one_token_ms(heads: int, tokens: int) -> float:
    return 0.05 + heads * tokens * 0.004


def pass_ms(model, subnet: Subnet, tokens: int) -> float:
    resolved = subnet.resolve(model.config.shape)
    total, entering = 0.0, tokens
    left = resolved.tokens_left(tokens)
    for number in range(len(left)):
        heads, neurons, leaving = resolved.heads[number], resolved.neurons[number], left[number]
        if number == len(left) - 1 and not model.reads_all_tokens:
            total += one_token_ms(heads, entering) + feed_forward_ms(neurons, 1)
        else:
            total += attention_ms(heads, entering, leaving) + feed_forward_ms(neurons, leaving)
        entering = leaving
    return PASS + LAYER * len(left) + TOKEN * tokens + FACTOR * total


def stopwatch(model, calls, **options):
    """Instead of `time_in_turn`: what each call would take."""
    layers = model.config.num_hidden_layers
    times = []
    for call in calls:
        call()  # it can be made
        part, args, named = call, [], {}
        while isinstance(part, functools.partial):
            part, args, named = part.func, [*part.args, *args], part.keywords | named
        if part is model:
            times.append(pass_ms(model, named["subnet"], args[0].shape[1]))
            continue
        tokens, count = args[0].shape[1], args[1]
        if part.__name__ == "_feed_forward":
            times.append(layers * feed_forward_ms(count, tokens))
        elif named.get("num_queries"):
            times.append(layers * (one_token_ms(count, tokens) + feed_forward_ms(1, 1)))
        else:
            share = named.get("share")
            leaving = tokens if share is None else latency_parts._leaving(tokens, share)
            times.append(
                layers * (attention_ms(count, tokens, leaving) + feed_forward_ms(1, leaving))
            )
    return np.array([times, times])


@pytest.fixture(params=[DynaBertForSequenceClassification, DynaBertForQuestionAnswering])
def model(request):
    kind = request.param.__name__.removeprefix("DynaBert")
    return request.param.from_hf(make_hf("bert", kind))


@pytest.fixture
def table(model, monkeypatch) -> LatencyTable:
    monkeypatch.setattr(latency_parts, "time_in_turn", stopwatch)
    return measure_latency_table(model, max_tokens=MAX_TOKENS, repeats=2)


def test_whole_networks_take_what_their_layers_take(model, table) -> None:
    """Shares of whole tokens are not quite those of the table, which moves its correction a little."""
    for subnet, tokens in random_networks(model, 40, MAX_TOKENS, seed=7):
        near = 5e-3 if subnet.length_config is None else 0.03
        told = table.predict(model, subnet, tokens)
        assert told == pytest.approx(pass_ms(model, subnet, tokens), rel=near), subnet
    assert table.checked == latency_parts.NUM_CHECKED
    assert table.error <= table.worst < 0.03
    assert table.is_trusted


def test_many_lengths_at_once_are_as_each_alone(model, table) -> None:
    lengths = [*range(MAX_TOKENS, 0, -1)]
    for subnet, _ in random_networks(model, 12, MAX_TOKENS, seed=3):
        together = table.predict_lengths(model, subnet, lengths)
        alone = [table.predict(model, subnet, tokens) for tokens in lengths]
        np.testing.assert_allclose(together, alone, rtol=1e-12)
    with pytest.raises(UserError, match="1 to 24 tokens, got 0"):
        table.predict_lengths(model, FULL, [3, 0])


def test_one_that_is_far_from_the_clock_is_not_trusted(table) -> None:
    assert not dataclasses.replace(table, error=0.051).is_trusted
    assert not dataclasses.replace(table, error=float("nan")).is_trusted
    assert dataclasses.replace(table, error=0.05).is_trusted


def test_what_a_table_is_not_about(model, table) -> None:
    with pytest.raises(UserError, match="1 to 24 tokens, got 25"):
        table.predict(model, FULL, 25)
    other = DynaBertForSequenceClassification.from_hf(make_hf(num_layers=3))
    with pytest.raises(UserError, match="of another model"):
        table.predict(other, FULL, 8)
    with pytest.raises(UserError, match="max_tokens must be from 2 to 40, got 41"):
        measure_latency_table(model, max_tokens=41)
    with pytest.raises(UserError, match="repeats must be at least 1, got 0"):
        measure_latency_table(model, max_tokens=8, repeats=0)


def test_it_is_kept_for_this_machine_only(model, table, tiny_backbone, tmp_path: Path) -> None:
    run = write_tiny_run(tmp_path, tiny_backbone)
    path = table_path(run.folder, 1, model.device)
    assert find_latency_table(run.folder, model, 1, 8) is None
    path.parent.mkdir()
    table.save(path)
    found = find_latency_table(run.folder, model, 1, MAX_TOKENS)
    assert found is not None
    assert found.predict(model, Subnet(0.5, 0.5), 9) == table.predict(model, Subnet(0.5, 0.5), 9)
    assert (found.error, found.worst, found.checked) == (table.error, table.worst, table.checked)
    assert find_latency_table(run.folder, model, 1, MAX_TOKENS + 1) is None
    assert find_latency_table(run.folder, model, 2, 8) is None
    dataclasses.replace(table, machine="another").save(path)
    assert find_latency_table(run.folder, model, 1, 8) is None
    dataclasses.replace(table, model="another").save(path)
    assert find_latency_table(run.folder, model, 1, 8) is None
    path.write_bytes(b"no table")
    with pytest.raises(UserError, match="is damaged.*remove it"):
        find_latency_table(run.folder, model, 1, 8)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tokens": np.array([])}, "tokens must be numbers that rise from 1"),
        ({"tokens": np.array([1.0, np.inf])}, "tokens must be numbers that rise"),
        ({"tokens": np.array([1.0, np.nan])}, "tokens must be numbers that rise"),
        ({"heads": np.array([1.0, 1.0])}, "heads must be numbers that rise"),
        ({"heads": np.array([1, 2], dtype=np.uint8)}, "heads must be numbers that rise"),
        ({"neurons": np.array([2.0, 3.0])}, "neurons must be numbers that rise"),
        ({"correction": np.array([0.0, -1.0, 0.0, 1.0])}, "correction must be.*none below 0"),
        ({"correction": np.array([0.0, 1.0])}, "correction must be numbers of shape"),
        ({"correction": np.array([0.0, 0.0, np.nan, 1.0])}, "correction must be numbers"),
    ],
)
def test_damage_is_noticed(table, change, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(table, **change)


def test_numbers_of_another_format_are_refused(table, tmp_path: Path) -> None:
    path = tmp_path / "table.safetensors"
    table.save(path)
    with safe_open(path, "np") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}
        about = file.metadata()
    save_file({name: array.astype(np.float32) for name, array in arrays.items()}, path, about)
    with pytest.raises(UserError, match="its numbers are of another format"):
        LatencyTable.load(path)


def test_it_is_not_written_through_a_link(table, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "latency").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is no folder of its own"):
        keep_latency_table(table, tmp_path, torch.device("cpu"))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_smallest_network(model) -> None:
    """One head, one neuron, one layer."""
    smallest = model.extract(Subnet(1 / 6, 0.25, neurons=(1,)))
    table = measure_latency_table(smallest, max_tokens=4, repeats=2)
    assert table.heads.tolist() == table.neurons.tolist() == [1]
    assert table.predict(smallest, FULL, 3) > 0


def test_real_times_are_measured(model) -> None:
    seen: list[int] = []
    found = measure_latency_table(
        model, max_tokens=8, batch_size=2, repeats=2, warm_up=0, on_repeat=seen.append
    )
    assert seen == [1, 2]
    assert found.batch_size == 2
    assert (found.feed_forward > 0).all()
    assert 0 <= found.error <= found.worst
