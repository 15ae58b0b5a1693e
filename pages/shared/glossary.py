"""The words of the app, in the papers' meaning."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.shared import wording

# Term, meaning, where it comes from.
GLOSSARY = (
    (
        "Attention head",
        "A part of a layer that decides, for every token, how much of every other token to read. "
        "Its map has a row for each token that looks and a column for each it looks at; rows sum "
        "to 1.",
        "Vaswani et al. 2017",
    ),
    (
        "Backbone",
        "The pretrained BERT or RoBERTa that training starts from.",
        "",
    ),
    (
        "Chance",
        "What a number would be if there were nothing to find, measured on the same model: "
        "shuffled tokens, or words at the same distance that are not linked.",
        "",
    ),
    (
        "Collapsed",
        "A sub-network that gives every example the same answer. Its score says nothing.",
        "",
    ),
    (
        "Data augmentation, DA",
        "More training sentences, made from those there are by replacing words by likely ones. The "
        "teacher says what the right answer to them is.",
        "Jiao et al. 2020, TinyBERT",
    ),
    (
        "Depth, m_d",
        "The share of layers that run. They are spread evenly, and by the paper's rule the last one always "
        "runs.",
        "DynaBERT, Sec. 2.2",
    ),
    (
        "Dev set",
        "Labelled examples that were not trained on. All scores here are of it.",
        "",
    ),
    (
        "Distillation",
        "Training a small network to imitate a large one: its answers and its hidden states.",
        "DynaBERT, Sec. 2.1–2.2",
    ),
    (
        "Exact match, EM; F1 of an answer",
        "For answers that are parts of a passage: whether one is the right one, and how many of its words "
        "it shares with the right one. Case, punctuation and articles do not count.",
        "Rajpurkar et al. 2016",
    ),
    (
        "Extraction",
        "Copying a sub-network out as a small dense model with the same answers.",
        "",
    ),
    (
        "Feed-forward network, neuron",
        "The second half of a layer; a neuron is one of its inner units.",
        "DynaBERT, eq. 2",
    ),
    (
        "Function fusion",
        "That a head of a sub-network does what several heads of the full network did.",
        "DynaBERT, Sec. 3.4",
    ),
    (
        "Function of a head",
        "Where it sends clearly more attention than chance: to the token before, to [SEP], from a "
        "verb to its subject.",
        "Clark et al. 2019",
    ),
    (
        "Importance",
        "First-order estimate of how much the loss changes without a head or neuron: |∂L/∂h · h|.",
        "DynaBERT, Sec. 2.1; Michel et al. 2019",
    ),
    (
        "Jensen–Shannon divergence",
        "How unlike two distributions are: 0 the same, 1 bit nothing in common. Similarity here "
        "is 1 minus it.",
        "Lin 1991",
    ),
    (
        "Latency",
        "The measured time of one forward pass, with the machine and the batch stated.",
        "",
    ),
    (
        "Length configuration",
        "How many tokens leave each layer. A layer drops those that receive the least attention; they "
        "keep what the layer before made of them, and stand in their places again at the end "
        "(Drop-and-Restore).",
        "Kim and Cho 2021; Dynamic-TinyBERT",
    ),
    (
        "MACs",
        "Multiply-accumulate operations, the arithmetic of one forward pass at a stated length.",
        "",
    ),
    (
        "MCC",
        "Matthews correlation: 1 perfect, 0 guessing, also when one label is rare. CoLA's metric.",
        "Matthews 1975",
    ),
    (
        "ONNX",
        "A file format for networks that runs without PyTorch. With 8-bit weights the file is a quarter of "
        "the size and faster; its answers change a little, so it is scored by itself.",
        "",
    ),
    (
        "Optimal subarchitecture extraction, OSE; W",
        "The search that found Bort. W multiplies the shares of parameters and of inference cost that an "
        "architecture saves and divides them by its error; the largest W among every ε-th architecture wins.",
        "De Wynter 2020",
    ),
    (
        "Pareto front",
        "The sub-networks than which no other is both cheaper and better.",
        "",
    ),
    (
        "Recipe, stage",
        "A training as data: stages one after another, each with its teacher, losses and "
        "sub-networks.",
        "",
    ),
    (
        "Rewiring",
        "Sorting the heads and neurons of every layer by importance, so that a width keeps the "
        "best. It changes no answer of the full network.",
        "DynaBERT, Sec. 2.1",
    ),
    (
        "Rollout",
        "How much of each input token reaches each position through all layers, from attention "
        "and the residual connections.",
        "Abnar and Zuidema 2020",
    ),
    (
        "Run",
        "What a training leaves behind: weights, scores, importance, and all that is needed to "
        "repeat it.",
        "",
    ),
    (
        "Sub-network",
        "The part of the network that a width and a depth choose. All share one set of weights.",
        "DynaBERT, Sec. 2",
    ),
    (
        "Teacher, teacher assistant",
        "The network that another one imitates. DynaBERT_w, adaptive in width, is trained first and assists: "
        "it teaches the sub-networks of every depth.",
        "DynaBERT, Sec. 2.2",
    ),
    (
        "Teaching set",
        "Sentences generated by a grammar in minimal pairs, one acceptable and one not; each pair "
        "tests one phenomenon, and the syntactic links are known.",
        "",
    ),
    (
        "Width, m_w",
        "The share of heads and neurons that every layer keeps.",
        "DynaBERT, Sec. 2.1",
    ),
)


def show() -> None:
    """The table of all words, under a heading of its own."""
    st.subheader("Glossary")
    st.table(
        pd.DataFrame(
            {
                "Word": [f"**{wording.escape(word)}**" for word, _, _ in GLOSSARY],
                "Meaning": [
                    wording.escape(meaning) + (f" *({wording.escape(source)})*" if source else "")
                    for _, meaning, source in GLOSSARY
                ],
            }
        ),
        border="horizontal",
        hide_index=True,
    )
