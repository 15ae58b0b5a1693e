"""Word, position and segment embeddings of BERT and RoBERTa."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dynabert.modeling.configuration import DynaBertConfig
from dynabert.modeling.dropout import Dropout


class Embeddings(nn.Module):
    """Embedding output E of the papers: the sum of three embeddings, normalised, with dropout.

    BERT counts positions from 0. RoBERTa counts them from padding id + 1 and skips padding.
    """

    def __init__(self, config: DynaBertConfig) -> None:
        super().__init__()
        roberta = config.backbone == "roberta"
        self.word = nn.Embedding(
            config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id
        )
        self.position = nn.Embedding(
            config.max_position_embeddings,
            config.hidden_size,
            padding_idx=config.pad_token_id if roberta else None,
        )
        self.token_type = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)
        # First position, where positions do not depend on the padding of each sentence.
        self.position_offset = (config.pad_token_id or 0) + 1 if roberta else 0
        self.skips_padding = roberta
        self.pad_token_id = config.pad_token_id
        self.max_tokens = config.max_tokens

    def forward(
        self,
        input_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
    ) -> Tensor:
        """(B, S) ids, or (B, S, D) word embeddings -> (B, S, D).

        Raises:
            ValueError: neither ids nor embeddings, or more tokens than the model has positions.
        """
        if inputs_embeds is None:
            if input_ids is None:
                raise ValueError("give input_ids or inputs_embeds.")
            inputs_embeds = self.word(input_ids)
        batch, tokens = inputs_embeds.shape[:2]
        if tokens > self.max_tokens:
            raise ValueError(
                f"this model reads at most {self.max_tokens} tokens, got {tokens}; "
                f"truncate when tokenizing (truncation=True, max_length={self.max_tokens})."
            )
        if position_ids is None:
            position_ids = self._positions(input_ids, tokens, inputs_embeds.device)
        if token_type_ids is None:
            token_type_ids = torch.zeros(
                (batch, tokens), dtype=torch.long, device=inputs_embeds.device
            )
        summed = inputs_embeds + self.token_type(token_type_ids) + self.position(position_ids)
        return self.dropout(self.norm(summed))

    def _positions(self, input_ids: Tensor | None, tokens: int, device: torch.device) -> Tensor:
        if self.skips_padding and input_ids is not None and self.pad_token_id is not None:
            real = input_ids.ne(self.pad_token_id).long()
            return torch.cumsum(real, dim=1) * real + (self.position_offset - 1)
        start = self.position_offset
        return torch.arange(start, start + tokens, device=device).unsqueeze(0)
