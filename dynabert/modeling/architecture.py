"""Plain architectures <D, A, H, I> (layers, heads, hidden size, neurons), and how large they are."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields

from dynabert.errors import UserError
from dynabert.modeling.configuration import DynaBertConfig

_KEY = re.compile(r"\d{1,5}(-\d{1,5}){3}")


@dataclass(frozen=True)
class Architecture:
    """An encoder with the same number of heads and neurons in each of its layers, as Bort's.

    Raises:
        UserError: a number below 1, or a hidden size that is no multiple of the heads.
    """

    layers: int  # D
    heads: int  # A
    hidden: int  # H
    neurons: int  # I

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise UserError(
                    f"{field.name} of an architecture must be a whole number from 1, got {value!r}."
                )
        if self.hidden % self.heads:
            raise UserError(
                f"the hidden size {self.hidden} must be a multiple of the {self.heads} heads."
            )

    @property
    def key(self) -> str:
        """A short name that `parse` reads back: "4-8-1024-768"."""
        return f"{self.layers}-{self.heads}-{self.hidden}-{self.neurons}"

    @classmethod
    def parse(cls, key: str) -> Architecture:
        """The architecture of such a name.

        Raises:
            UserError: it is none.
        """
        if not _KEY.fullmatch(key.strip()):
            raise UserError(
                f"{key[:40]!r} is no architecture; write layers, heads, hidden size and neurons, for "
                "example 4-8-1024-768."
            )
        return cls(*map(int, key.split("-")))

    def __str__(self) -> str:
        return f"<{self.layers}, {self.heads}, {self.hidden}, {self.neurons}>"

    @property
    def encoder_params(self) -> int:
        """Parameters of its layers: D (4 (H^2 + H) + 2 H I + I + H + 4 H)."""
        hidden, neurons = self.hidden, self.neurons
        attention = 4 * (hidden**2 + hidden)
        feed_forward = 2 * hidden * neurons + neurons + hidden
        return self.layers * (attention + feed_forward + 4 * hidden)

    def embedding_params(self, *, vocab_size: int, positions: int, token_types: int = 0) -> int:
        """Parameters of word, position and token-type embeddings and of their LayerNorm."""
        return (vocab_size + positions + token_types + 2) * self.hidden

    def config(self, like: DynaBertConfig) -> DynaBertConfig:
        """The configuration of a network of this architecture with the vocabulary and head of another."""
        values = like.to_dict()
        values.update(
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            hidden_size=self.hidden,
            intermediate_size=self.neurons,
            **dict.fromkeys(("head_dim", "heads", "neurons", "layer_ids", "length_config")),
            **dict.fromkeys(("original_num_layers", "original_num_heads", "original_num_neurons")),
        )
        return DynaBertConfig(**values)

    def num_params(self, like: DynaBertConfig, *, outputs: int, dense: bool) -> int:
        """All parameters of a network with the vocabulary of another and a head.

        outputs: of the head. dense: whether it has a dense layer before them, as a classifier's.
        """
        embeddings = self.embedding_params(
            vocab_size=like.vocab_size,
            positions=like.max_position_embeddings,
            token_types=like.type_vocab_size,
        )
        head = (self.hidden + 1) * outputs + (self.hidden * (self.hidden + 1) if dense else 0)
        return embeddings + self.encoder_params + head


@dataclass(frozen=True, kw_only=True)
class PlainSpace:
    """Every combination of some sizes; those whose hidden size is no multiple of the heads are none.

    Raises:
        UserError: no size of a kind, or no combination that is an architecture.
    """

    layers: tuple[int, ...]
    heads: tuple[int, ...]
    hiddens: tuple[int, ...]
    neurons: tuple[int, ...]

    def __post_init__(self) -> None:
        for field in fields(self):
            sizes = getattr(self, field.name)
            if not sizes or any(
                isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in sizes
            ):
                raise UserError(f"{field.name} must be whole numbers from 1, got {sizes!r}.")
            object.__setattr__(self, field.name, tuple(sorted(set(sizes))))
        if not len(self):
            raise UserError(
                f"no hidden size among {self.hiddens} is a multiple of one of the heads {self.heads}."
            )

    def __iter__(self) -> Iterator[Architecture]:
        for layers, heads, hidden, neurons in itertools.product(
            self.layers, self.heads, self.hiddens, self.neurons
        ):
            if hidden % heads == 0:
                yield Architecture(layers, heads, hidden, neurons)

    def __len__(self) -> int:
        pairs = sum(hidden % heads == 0 for heads in self.heads for hidden in self.hiddens)
        return len(self.layers) * len(self.neurons) * pairs


# The space in which Bort was found (as public reading notes on the paper give it), and Bort.
BORT_SPACE = PlainSpace(
    layers=(2, 4, 6, 8, 10, 12),
    heads=(4, 8, 12, 16),
    hiddens=(512, 768, 1024),
    neurons=(256, 512, 768, 1024, 3072),
)
BORT = Architecture(4, 8, 1024, 768)
# What fits its published sizes (56 M parameters, 39 M of them embeddings) instead: H and I exchanged.
BORT_BY_SIZE = Architecture(4, 8, 768, 1024)
BORT_VOCABULARY, BORT_POSITIONS = 50265, 512
