"""The configuration of an elastic encoder."""

from __future__ import annotations

import copy
from typing import Any, Literal

from transformers import PreTrainedConfig

from dynabert.length_config import LengthConfig, as_length_config
from dynabert.subnet import DEPTH_CHOICES, NetworkShape, ResolvedSubnet

BACKBONES = ("bert", "roberta")


class DynaBertConfig(PreTrainedConfig):
    """What an elastic encoder is made of.

    It is BERT's configuration with heads and neurons counted per layer, because an extracted
    sub-network may have a different number in each. `heads` and `neurons` left out mean
    `num_attention_heads` and `intermediate_size` everywhere.

    Raises:
        ValueError: counts that do not fit together, or an unknown backbone or depth rule.
    """

    model_type = "dynabert"

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    head_dim: int | None = None  # hidden_size // num_attention_heads of the original network
    heads: list[int] | None = None  # (L,) heads of each layer
    neurons: list[int] | None = None  # (L,) FFN neurons of each layer
    layer_ids: list[int] | None = (
        None  # (L,) where each layer stood in the original network, from 0
    )
    original_num_layers: int | None = None  # layers, heads and neurons per layer of that network:
    original_num_heads: int | None = None  # an extracted sub-network remembers what it was cut from
    original_num_neurons: int | None = None
    backbone: Literal["bert", "roberta"] = "bert"
    depth_choice: Literal["paper", "official"] = "paper"
    # Tokens that leave each layer, as counts or as shares; None: all. See `LengthConfig`.
    length_config: list[int | float] | None = None
    # Whether no layer drops the first token: of a classifier it is what the head reads. Each task's model
    # sets it, so that the encoder alone, of what it saved, drops the same tokens.
    keeps_first_token: bool = True
    hidden_act: str = "gelu"
    hidden_dropout_prob: float | int = 0.1
    attention_probs_dropout_prob: float | int = 0.1
    classifier_dropout: float | int | None = None
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        if self.backbone not in BACKBONES:
            raise ValueError(
                f"backbone must be one of {', '.join(BACKBONES)}, got {self.backbone!r}."
            )
        if self.depth_choice not in DEPTH_CHOICES:
            raise ValueError(
                f"depth_choice must be one of {', '.join(DEPTH_CHOICES)}, got {self.depth_choice!r}."
            )
        if self.head_dim is None:
            if self.hidden_size % self.num_attention_heads:
                raise ValueError(
                    f"hidden_size ({self.hidden_size}) must be a multiple of num_attention_heads "
                    f"({self.num_attention_heads}), or head_dim must be given."
                )
            self.head_dim = self.hidden_size // self.num_attention_heads
        if self.heads is None:
            self.heads = [self.num_attention_heads] * self.num_hidden_layers
        if self.neurons is None:
            self.neurons = [self.intermediate_size] * self.num_hidden_layers
        if self.layer_ids is None:
            self.layer_ids = list(range(self.num_hidden_layers))
        for name in ("heads", "neurons", "layer_ids"):
            counts, lowest = getattr(self, name), 0 if name == "layer_ids" else 1
            if len(counts) != self.num_hidden_layers or min(counts) < lowest:
                raise ValueError(
                    f"{name} needs one number of at least {lowest} for each of the "
                    f"{self.num_hidden_layers} layers, got {counts}."
                )
        if self.length_config is not None:
            entries = LengthConfig(tuple(self.length_config)).entries
            if len(entries) != self.num_hidden_layers:
                raise ValueError(
                    f"length_config needs one number for each of the {self.num_hidden_layers} layers, got "
                    f"{self.length_config}."
                )
            self.length_config = list(entries)
        self.original_num_layers = self.original_num_layers or self.num_hidden_layers
        self.original_num_heads = self.original_num_heads or max(self.heads)
        self.original_num_neurons = self.original_num_neurons or max(self.neurons)
        super().__post_init__(**kwargs)

    def with_first_token(self, *, kept: bool) -> DynaBertConfig:
        """This configuration if it says so of the first token, else a copy that does."""
        if self.keeps_first_token == kept:
            return self
        other = copy.deepcopy(self)
        other.keeps_first_token = kept
        return other

    @property
    def shape(self) -> NetworkShape:
        """What a Subnet is resolved against."""
        # None of them is None after __post_init__.
        return NetworkShape(
            heads=tuple(self.heads or ()),
            neurons=tuple(self.neurons or ()),
            head_dim=self.head_dim or 0,
            depth_choice=self.depth_choice,
            length_config=as_length_config(self.length_config),
        )

    @property
    def max_tokens(self) -> int:
        """Longest input in tokens; RoBERTa starts counting positions behind the padding id."""
        if self.backbone == "roberta":
            return self.max_position_embeddings - (self.pad_token_id or 0) - 1
        return self.max_position_embeddings

    def narrowed(self, resolved: ResolvedSubnet) -> DynaBertConfig:
        """The configuration of the small dense model that `resolved` cuts out of this one."""
        layer_ids = self.layer_ids or []
        values = self.to_dict()
        values.update(
            num_hidden_layers=len(resolved.layers),
            heads=list(resolved.heads),
            neurons=list(resolved.neurons),
            num_attention_heads=max(resolved.heads),
            intermediate_size=max(resolved.neurons),
            layer_ids=[layer_ids[layer] for layer in resolved.layers],
            length_config=resolved.length_config and list(resolved.length_config.entries),
        )
        return DynaBertConfig(**values)
