"""The elastic models with a head: for classification, for answer spans, and for masked tokens.

They are `PreTrainedModel`s: `from_pretrained`, `save_pretrained`, `push_to_hub`, `AutoModel` and
`pipeline` work for the whole network and for every sub-network taken out of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
)
from transformers.modeling_outputs import (
    MaskedLMOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
)
from transformers.utils.generic import can_return_tuple

from dynabert.labels import IGNORED_LABEL
from dynabert.modeling.configuration import DynaBertConfig
from dynabert.modeling.heads import (
    ClassificationHead,
    MaskedTokenHead,
    SpanHead,
    at_real_tokens,
    classification_loss,
    masked_token_loss,
    span_loss,
)
from dynabert.modeling.pretrained import DynaBertModel, DynaBertPreTrainedModel
from dynabert.subnet import FULL, Subnet


class DynaBertForSequenceClassification(DynaBertPreTrainedModel):
    """Classification and, with one label, regression."""

    # Whether the head reads the last layer's output of every token, or of the first one only.
    reads_all_tokens = False

    def __init__(self, config: DynaBertConfig) -> None:
        config = config.with_first_token(kept=True)  # it is what the head reads
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
        self, last_hidden_state: Tensor, batch: Mapping[str, Tensor] | None = None
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
        config = config.with_first_token(kept=False)  # the head reads every token
        super().__init__(config)
        self.dynabert = DynaBertModel(config)
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
        self, last_hidden_state: Tensor, batch: Mapping[str, Tensor] | None = None
    ) -> tuple[Tensor, ...]:
        """The sets of logits that the head makes of (B, S, D): of start and end, (B, S) each.

        batch: where it has an attention mask (B, S), padding is neither a start nor an end.
        """
        mask = None if batch is None else batch.get("attention_mask")
        return tuple(at_real_tokens(one, mask) for one in self.head(last_hidden_state))

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


class DynaBertForMaskedLM(DynaBertPreTrainedModel):
    """Which piece of the vocabulary stood where a token is masked: what encoders are pretrained with.

    The output weights are the word embeddings, as in BERT and RoBERTa.
    """

    reads_all_tokens = True

    def __init__(self, config: DynaBertConfig) -> None:
        config = config.with_first_token(kept=False)  # the head reads every token
        super().__init__(config)
        self.dynabert = DynaBertModel(config)
        self.head = MaskedTokenHead(config)
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
    ) -> MaskedLMOutput:
        """Logits (B, S, V) and, with labels (B, S), the mean loss where they are not `IGNORED_LABEL`."""
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
        (logits,) = self.read(out.last_hidden_state)
        loss = None
        if labels is not None:
            loss = masked_token_loss(logits, labels)
        return MaskedLMOutput(
            loss=loss, logits=logits, hidden_states=out.hidden_states, attentions=out.attentions
        )

    def read(
        self, last_hidden_state: Tensor, batch: Mapping[str, Tensor] | None = None
    ) -> tuple[Tensor, ...]:
        """The sets of logits that the head makes of (B, S, D): here one, (B, S, V).

        batch: where it has labels (B, S), (M, V) of the M masked tokens only; the vocabulary is large.
        """
        if batch is not None and "labels" in batch:
            last_hidden_state = last_hidden_state[batch["labels"] != IGNORED_LABEL]
        return (self.head(last_hidden_state, self.backbone.embeddings.word.weight),)

    def logits_of(
        self, output: MaskedLMOutput, attention_mask: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """The same sets, of what `forward` returned."""
        return (cast(Tensor, output.logits),)

    def label_loss(self, logits: tuple[Tensor, ...], batch: Mapping[str, Tensor]) -> Tensor:
        """Mean loss of such sets, of a batch's masked or of all tokens, against its labels."""
        return masked_token_loss(logits[0], batch["labels"])


# A network with the head of a task; masked tokens are one as well.
TaskModel = DynaBertForSequenceClassification | DynaBertForQuestionAnswering | DynaBertForMaskedLM


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
        (AutoModelForMaskedLM, MODEL_FOR_MASKED_LM_MAPPING_NAMES, DynaBertForMaskedLM),
    ):
        auto.register(DynaBertConfig, model, exist_ok=True)
        # pipeline() compares class names with these tables, which register() does not reach.
        names[DynaBertConfig.model_type] = model.__name__


register()
