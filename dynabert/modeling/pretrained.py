"""What every elastic model is: a `PreTrainedModel` with an elastic encoder; and the encoder alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, initialization
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils.generic import can_return_tuple

from dynabert.modeling import conversion, extraction
from dynabert.modeling.attention import ElasticAttention
from dynabert.modeling.configuration import DynaBertConfig
from dynabert.modeling.embeddings import Embeddings
from dynabert.modeling.encoder import ElasticEncoder
from dynabert.modeling.feed_forward import ElasticFeedForward
from dynabert.subnet import FULL, DepthChoice, Subnet


class DynaBertPreTrainedModel(PreTrainedModel):
    """What the elastic models share: loading, saving, conversion and extraction."""

    config_class = DynaBertConfig
    config: DynaBertConfig
    base_model_prefix = "dynabert"
    _supports_sdpa = True
    _no_split_modules = ["ElasticLayer"]

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        # Identities are buffers: without this they would be left unset where a checkpoint lacks
        # them.
        if isinstance(module, ElasticAttention):
            initialization.copy_(module.head_ids, torch.arange(module.num_heads))
        elif isinstance(module, ElasticFeedForward):
            initialization.copy_(module.neuron_ids, torch.arange(module.num_neurons))

    @property
    def backbone(self) -> DynaBertModel:
        """The embeddings and the encoder, without the head."""
        return cast(DynaBertModel, self.base_model)

    def get_input_embeddings(self) -> nn.Module:
        return self.backbone.embeddings.word

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.backbone.embeddings.word = cast(nn.Embedding, value)

    @classmethod
    def from_hf(
        cls,
        source: PreTrainedModel | str | Path,
        *,
        depth_choice: DepthChoice = "paper",
        **config_changes: Any,
    ) -> Self:
        """An elastic model with the weights of a Hugging Face BERT or RoBERTa.

        source: a model, a folder or a hub id (safetensors only). A source without this class's head
        gives a new head, drawn from torch's global generator; BERT's pooler is kept.
        depth_choice: the rule by which depth drops layers, see `dynabert.subnet.kept_layers`;
        "official" for checkpoints trained by the authors' code.
        config_changes: fields of the configuration to set, for example num_labels=3.

        Raises:
            ValueError: not a BERT or RoBERTa encoder, or no safetensors weights.
        """
        return conversion.from_hf(cls, source, depth_choice=depth_choice, **config_changes)

    def to_hf(self) -> PreTrainedModel:
        """The same network as a Hugging Face BERT or RoBERTa with the same head.

        Raises:
            ValueError: some layer has fewer heads than the hidden size asks for, layers differ in
            neurons, or tokens are dropped; Hugging Face's classes cannot hold such a network.
        """
        return conversion.to_hf(self)

    def extract(self, subnet: Subnet) -> Self:
        """A small dense model of the same class that computes what `subnet` computes in this one.

        Its weights are copies; it keeps the original numbers of its layers, heads and neurons.
        """
        return extraction.extract(self, subnet)


class DynaBertModel(DynaBertPreTrainedModel):
    """Embeddings and elastic encoder."""

    def __init__(self, config: DynaBertConfig) -> None:
        super().__init__(config)
        self.embeddings = Embeddings(config)
        self.encoder = ElasticEncoder(config)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        subnet: Subnet = FULL,
        head_mask: Tensor | None = None,
        embedding_output: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        num_queries: int | None = None,
    ) -> BaseModelOutput:
        """Last hidden state (B, S, D); on request the hidden states and attention probabilities.

        input_ids, attention_mask (1 = real token), token_type_ids, position_ids: (B, S).
        subnet: the sub-network to run; left out, the full network.
        head_mask: factor for the output of each head, (L, H), or (L, B, H) for one mask per sentence; a 0
        removes the head. Rows and columns are this model's layers and heads (`head_ids` translates).
        embedding_output: (B, S, D) from `self.embeddings`, where the caller has it already.
        num_queries: only the last hidden state of the first so many tokens is wanted: S of it becomes
        that, unless hidden states or attentions are asked for, too.
        hidden_states: the embedding output, then the output of each executed layer; a token that was
        dropped stands there as the layer before left it.
        attentions: probabilities before dropout of each executed layer, (B, heads, S, S); 0 from and to
        tokens that were dropped before it.
        """
        if embedding_output is None:
            embedding_output = self.embeddings(
                input_ids, token_type_ids, position_ids, inputs_embeds
            )
        if head_mask is not None:
            self._check_head_mask(head_mask, batch=embedding_output.shape[0])
        config = self.config
        out = self.encoder(
            embedding_output,
            key_mask(attention_mask),
            subnet.resolve(config.shape),
            head_mask=head_mask,
            num_queries=num_queries,
            output_attentions=(
                config.output_attentions if output_attentions is None else output_attentions
            ),
            output_hidden_states=(
                config.output_hidden_states
                if output_hidden_states is None
                else output_hidden_states
            ),
        )
        return BaseModelOutput(
            last_hidden_state=out.last_hidden_state,
            hidden_states=out.hidden_states,
            attentions=out.attentions,
        )

    def _check_head_mask(self, head_mask: Tensor, *, batch: int) -> None:
        heads = self.config.shape.heads
        allowed = ((len(heads), max(heads)), (len(heads), batch, max(heads)))
        if tuple(head_mask.shape) not in allowed:
            raise ValueError(
                f"head_mask must be of shape {allowed[0]} (layers, heads) or {allowed[1]} "
                f"(layers, batch, heads), got {tuple(head_mask.shape)}."
            )


def key_mask(attention_mask: Tensor | None) -> Tensor | None:
    """Boolean mask (B, 1, 1, S) of the keys that may be seen, from the usual (B, S) of ones and
    zeros.

    None where nothing is masked: without a mask the fused attention kernel is faster. An exported graph
    holds for every batch, so there it is always a mask.
    """
    if attention_mask is None:
        return None
    if attention_mask.dim() != 2:
        raise ValueError(
            f"attention_mask must be (batch, tokens), got shape {tuple(attention_mask.shape)}."
        )
    mask = attention_mask.bool()
    # On a GPU the look would cost a synchronisation.
    if mask.device.type == "cpu" and not torch.compiler.is_exporting() and bool(mask.all()):
        return None
    return mask[:, None, None, :]
