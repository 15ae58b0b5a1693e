"""How functions of heads are written in a small square, which belong together, and what the numbers mean."""

from __future__ import annotations

from dynabert.analysis.functions import BROAD, LEAST_EXCESS, LINKS, MIXED, POSITIONAL, SPECIAL

GROUPS = {
    **dict.fromkeys(POSITIONAL, "neighbours"),
    **dict.fromkeys(SPECIAL, "special tokens, punctuation"),
    **dict.fromkeys(LINKS, "grammar"),
    BROAD: "broad",
    MIXED: "mixed",
}
SHORT = {
    "previous token": "prev", "next token": "next", "same token": "same", "[CLS]": "CLS", "[SEP]": "SEP",
    "punctuation": "punct", "verb → subject": "v→s", "subject → verb": "s→v", "noun → determiner": "n→d",
    "determiner → noun": "d→n", "antecedent → reflexive": "a→r", "reflexive → antecedent": "r→a",
    "verb → object": "v→o", "object → verb": "o→v", BROAD: "broad", MIXED: "mix",
}  # fmt: skip

# For Markdown; `*` stands in them for nothing but emphasis.
FUNCTIONS_DEFINED = (
    f"A head is named by where it sends at least {LEAST_EXCESS:.2f} more of its attention than chance "
    "would: even attention, and for a grammatical link the same head's attention over the same distance "
    "between words that are not linked. v verb, s subject, o object, n noun, d determiner, a antecedent, "
    "r reflexive; of a RoBERTa, [CLS] and [SEP] are what its first and its separating tokens are called "
    "here. Broad: no such place, and nearly even. A cross: the sub-network has no such head."
)
FUSION_DEFINED = (
    "Two heads are as *similar* as 1 minus the Jensen–Shannon divergence of where they look, in "
    "bits, over all tokens of all sentences: 1 is the same attention, 0 no token in common. A head "
    "that the sub-network has not is *covered* by the surviving head that is most similar to what "
    "it did in the full network. **Fusion** is how much better the surviving heads cover it in the "
    "sub-network than the same heads did in the full network. Above 0, somebody has taken over "
    "some of its function; below 0, the heads that are left have moved away from it.",
    "Attention that only becomes more even grows more similar to everything. *Chance* is therefore "
    "the same number for the removed head with its tokens shuffled: only fusion above chance means "
    "that a function was taken over. The interval is a bootstrap over sentences.",
)
