"""Taking a sub-network out of an elastic model."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from dynabert.subnet import Subnet

if TYPE_CHECKING:
    from dynabert.modeling.pretrained import DynaBertPreTrainedModel

Model = TypeVar("Model", bound="DynaBertPreTrainedModel")


def extract(model: Model, subnet: Subnet) -> Model:
    """A dense copy of one sub-network, see `DynaBertPreTrainedModel.extract`."""
    resolved = subnet.resolve(model.config.shape)
    small = type(model)(model.config.narrowed(resolved))
    small.to(dtype=model.dtype, device=model.device)  # type: ignore[call-arg]  # HF's wrapper
    source = model.state_dict()
    taken = {}
    for name, target in small.state_dict().items():
        before, stem, after = name.rpartition("encoder.layers.")
        origin = name
        if stem:
            position, rest = after.split(".", 1)
            origin = f"{before}{stem}{resolved.layers[int(position)]}.{rest}"
        # What width narrows keeps its leftmost entries, in whichever dimension that is.
        taken[name] = source[origin][tuple(slice(size) for size in target.shape)]
    small.load_state_dict(taken)
    return small.train(model.training)
