"""Latency of the sub-networks of a backbone, measured once and shared by all its results.

It depends on the numbers of layers, heads and neurons only, not on what was trained. Kept in
`latency.json` in the backbone's folder of results, with the machine that it was measured on. Always
measured on the CPU, in 32 bits: at batch 1 as the paper does on a phone's processor, and at batch
128, as it does on a graphics card (Fig. 3).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError

from dynabert.errors import UserError, explain
from dynabert.evaluation.latency import LatencySetup, describe_machine, measure_latency
from dynabert.files import write_text_atomically
from dynabert.modeling.pretrained import DynaBertPreTrainedModel
from dynabert.reproduction.results import LATENCY_FILE, MeasuredLatency, backbone_folder
from dynabert.subnet import PAPER_SPACE, Subnet, check_keeps_all_tokens
from dynabert.values import Value

PAPER_SETUPS = (LatencySetup(), LatencySetup(batch_size=128, repeats=5, warm_up=1))
# Counts the changes that made a forward pass faster: times from before do not compare with later ones.
FORWARD = 2  # of a classifier, the last layer computes the first token only
OnProgress = Callable[[str, int, int], None]


class Entry(Value):
    """One shape of network, timed in one way on one machine."""

    machine: str
    model: str  # the class: heads differ in what they compute
    torch: str
    heads: tuple[int, ...]  # of each layer that runs
    neurons: tuple[int, ...]
    forward: int = 1  # `FORWARD` of the program that measured it
    latency: MeasuredLatency

    @property
    def key(self) -> tuple[object, ...]:
        return (
            *(self.machine, self.model, self.torch, self.heads, self.neurons, self.forward),
            *(self.latency.batch_size, self.latency.tokens),
        )


_ENTRIES = TypeAdapter(tuple[Entry, ...])


class LatencyBook:
    """What has been measured of one backbone."""

    def __init__(self, folder: Path, backbone: str) -> None:
        """folder: that of all results."""
        self._path = folder / backbone_folder(backbone) / LATENCY_FILE

    def entries(self) -> dict[tuple[object, ...], Entry]:
        """Everything measured so far, by its key.

        Raises:
            UserError: the file is damaged.
        """
        if not self._path.is_file():
            return {}
        try:
            found = _ENTRIES.validate_json(self._path.read_text(encoding="utf-8"))
        except ValidationError as error:
            raise UserError(
                f"{self._path} is damaged: {explain(error)}. Remove it; latency is measured again."
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{self._path} cannot be read: {error}.") from error
        return {entry.key: entry for entry in found}

    def measured(
        self,
        model: DynaBertPreTrainedModel,
        subnets: Sequence[Subnet],
        setups: Sequence[LatencySetup] = PAPER_SETUPS,
        *,
        on_progress: OnProgress | None = None,
    ) -> dict[Subnet, tuple[MeasuredLatency, ...]]:
        """Latency of each sub-network in each setup; what is not known yet is measured and kept.

        The paper's twelve sub-networks are measured along, in the same minutes: only what was timed
        side by side on one machine can be compared.
        """
        found: dict[Subnet, list[MeasuredLatency]] = {subnet: [] for subnet in subnets}
        for setup in setups:
            fitting = replace(setup, tokens=min(setup.tokens, model.config.max_tokens))
            known = self._complete(model, subnets, fitting, on_progress)
            for subnet in subnets:
                found[subnet].append(known[_key(model, subnet, fitting)].latency)
        return {subnet: tuple(latencies) for subnet, latencies in found.items()}

    def _complete(
        self,
        model: DynaBertPreTrainedModel,
        subnets: Sequence[Subnet],
        setup: LatencySetup,
        on_progress: OnProgress | None,
    ) -> dict[tuple[object, ...], Entry]:
        known = self.entries()
        if all(_key(model, subnet, setup) in known for subnet in subnets):
            return known
        missing: dict[tuple[object, ...], Subnet] = {}
        for subnet in (*subnets, *PAPER_SPACE):
            key = _key(model, subnet, setup)
            if key not in known:
                missing.setdefault(key, subnet)

        def report(done: int) -> None:
            if on_progress is not None:
                on_progress("latency", done, setup.repeats)

        times = measure_latency(model, list(missing.values()), setup, on_repeat=report)
        new = {}
        for subnet, time in zip(missing.values(), times, strict=True):
            resolved = subnet.resolve(model.config.shape)
            entry = Entry(
                machine=describe_machine(model.device),
                model=type(model).__name__,
                torch=torch.__version__,
                heads=resolved.heads,
                neurons=resolved.neurons,
                forward=FORWARD,
                latency=MeasuredLatency(
                    batch_size=setup.batch_size,
                    tokens=setup.tokens,
                    median_ms=round(time.median_ms, 4),
                    iqr_ms=round(time.iqr_ms, 4),
                ),
            )
            new[entry.key] = entry
        known = {**self.entries(), **new}
        self._write(known)
        return known

    def _write(self, entries: dict[tuple[object, ...], Entry]) -> None:
        lines = [
            " " + json.dumps(entries[key].model_dump(mode="json"), sort_keys=True)
            for key in sorted(entries, key=str)
        ]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(self._path, "[\n" + ",\n".join(lines) + "\n]\n")


def _key(model: DynaBertPreTrainedModel, subnet: Subnet, setup: LatencySetup) -> tuple[object, ...]:
    resolved = subnet.resolve(model.config.shape)
    check_keeps_all_tokens(resolved, "Latencies of methods")
    return (
        *(describe_machine(model.device), type(model).__name__, torch.__version__),
        *(resolved.heads, resolved.neurons, FORWARD),
        *(setup.batch_size, setup.tokens),
    )
