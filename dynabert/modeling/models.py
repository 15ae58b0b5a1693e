"""The elastic models: the encoder alone, with a classification head, and with an answer-span head.

They are `PreTrainedModel`s: `from_pretrained`, `save_pretrained`, `push_to_hub`, `AutoModel` and
`pipeline` work for the whole network and for every sub-network taken out of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    initialization,
)
from transformers.modeling_outputs import (
    BaseModelOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
)
from transformers.utils.generic import can_return_tuple

from dynabert.modeling import conversion, extraction
from dynabert.modeling.attention import ElasticAttention
from dynabert.modeling.configuration import DynaBertConfig
from dynabert.modeling.embeddings import Embeddings
from dynabert.modeling.encoder import ElasticEncoder
from dynabert.modeling.feed_forward import ElasticFeedForward
from dynabert.modeling.heads import (
    ClassificationHead,
    SpanHead,
    at_real_tokens,
    classification_loss,
    span_loss,
)
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
        head_mask: factor for the output of each head, (L, H), or (L, B, H) for one mask per
        sentence; a 0
            removes the head. Rows and columns are this model's layers and heads (`head_ids`
            translates).
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


class DynaBertForSequenceClassification(DynaBertPreTrainedModel):
    """Classification and, with one label, regression."""

    # Whether the head reads the last layer's output of every token, or of the first one only.
    reads_all_tokens = False

    def __init__(self, config: DynaBertConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.dynabert = DynaBertModel(config)
        self.head = ClassificationHead(config)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        subnet: Subnet = FULL,
        head_mask: Tensor | None = None,
        embedding_output: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
    ) -> SequenceClassifierOutput:
        """Logits (B, C) and, with labels (B,), the mean loss. Other arguments as `DynaBertModel`."""
        out = self.dynabert(
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            subnet=subnet,
            head_mask=head_mask,
            embedding_output=embedding_output,
            num_queries=1,  # the head reads the first token
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            return_dict=True,
        )
        logits = self.head(out.last_hidden_state)
        loss = None
        if labels is not None:
            loss = classification_loss(logits, labels, self.config.problem_type)
        return SequenceClassifierOutput(
            loss=loss, logits=logits, hidden_states=out.hidden_states, attentions=out.attentions
        )

    def read(
        self, last_hidden_state: Tensor, attention_mask: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """The sets of logits that the head makes of (B, S, D): here one, (B, C)."""
        return (self.head(last_hidden_state),)

    def logits_of(
        self, output: SequenceClassifierOutput, attention_mask: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """The same sets, of what `forward` returned."""
        return (cast(Tensor, output.logits),)

    def label_loss(self, logits: tuple[Tensor, ...], batch: Mapping[str, Tensor]) -> Tensor:
        """Mean loss of such sets against the labels of a batch."""
        return classification_loss(logits[0], batch["labels"], self.config.problem_type)


class DynaBertForQuestionAnswering(DynaBertPreTrainedModel):
    """Extractive question answering: where the answer starts and ends in the text."""

    reads_all_tokens = True

    def __init__(self, config: DynaBertConfig) -> None:
        super().__init__(config)
        self.dynabert = DynaBertModel(config)
        self.dynabert.encoder.keeps_first_token = False  # the head reads every token
        self.head = SpanHead(config)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        subnet: Subnet = FULL,
        head_mask: Tensor | None = None,
        embedding_output: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
    ) -> QuestionAnsweringModelOutput:
        """Start and end logits (B, S) and, with both positions (B,), the mean loss."""
        out = self.dynabert(
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            subnet=subnet,
            head_mask=head_mask,
            embedding_output=embedding_output,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            return_dict=True,
        )
        start, end = self.head(out.last_hidden_state)
        loss = None
        if start_positions is not None and end_positions is not None:
            loss = span_loss(start, end, start_positions, end_positions)
        return QuestionAnsweringModelOutput(
            loss=loss,
            start_logits=start,
            end_logits=end,
            hidden_states=out.hidden_states,
            attentions=out.attentions,
        )

    def read(
        self, last_hidden_state: Tensor, attention_mask: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """The sets of logits that the head makes of (B, S, D): of start and end, (B, S) each.

        attention_mask: (B, S); padding is neither a start nor an end.
        """
        return tuple(at_real_tokens(one, attention_mask) for one in self.head(last_hidden_state))

    def logits_of(
        self, output: QuestionAnsweringModelOutput, attention_mask: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """The same sets, of what `forward` returned."""
        both = cast(tuple[Tensor, Tensor], (output.start_logits, output.end_logits))
        return tuple(at_real_tokens(one, attention_mask) for one in both)

    def label_loss(self, logits: tuple[Tensor, ...], batch: Mapping[str, Tensor]) -> Tensor:
        """Mean loss of such sets against the positions of a batch."""
        start, end = logits
        return span_loss(start, end, batch["start_positions"], batch["end_positions"])


# A network with the head of a task.
TaskModel = DynaBertForSequenceClassification | DynaBertForQuestionAnswering


def key_mask(attention_mask: Tensor | None) -> Tensor | None:
    """Boolean mask (B, 1, 1, S) of the keys that may be seen, from the usual (B, S) of ones and
    zeros.

    None where nothing is masked: without a mask the fused attention kernel is faster.
    """
    if attention_mask is None:
        return None
    if attention_mask.dim() != 2:
        raise ValueError(
            f"attention_mask must be (batch, tokens), got shape {tuple(attention_mask.shape)}."
        )
    mask = attention_mask.bool()
    # On a GPU the look would cost a synchronisation.
    if mask.device.type == "cpu" and bool(mask.all()):
        return None
    return mask[:, None, None, :]


def register() -> None:
    """Make `AutoConfig`, the `AutoModel` classes and `pipeline` know these models."""
    AutoConfig.register(DynaBertConfig.model_type, DynaBertConfig, exist_ok=True)
    AutoModel.register(DynaBertConfig, DynaBertModel, exist_ok=True)
    for auto, names, model in (
        (
            AutoModelForSequenceClassification,
            MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
            DynaBertForSequenceClassification,
        ),
        (
            AutoModelForQuestionAnswering,
            MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES,
            DynaBertForQuestionAnswering,
        ),
    ):
        auto.register(DynaBertConfig, model, exist_ok=True)
        # pipeline() compares class names with these tables, which register() does not reach.
        names[DynaBertConfig.model_type] = model.__name__


register()
