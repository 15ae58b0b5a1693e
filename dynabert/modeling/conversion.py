"""Weights and configurations from and to Hugging Face's BERT and RoBERTa."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import transformers
from safetensors import safe_open
from transformers import AutoConfig, BertConfig, PreTrainedConfig, PreTrainedModel, RobertaConfig
from transformers.utils import cached_file

from dynabert.errors import BROKEN_FILES, UserError, first_line
from dynabert.modeling.configuration import BACKBONES, DynaBertConfig
from dynabert.subnet import DepthChoice

if TYPE_CHECKING:
    from dynabert.modeling.pretrained import DynaBertPreTrainedModel

Model = TypeVar("Model", bound="DynaBertPreTrainedModel")

# Our modules and Hugging Face's, below the encoder's own name; # stands for the number of a layer.
_ENCODER_MODULES = {
    "embeddings.word": "embeddings.word_embeddings",
    "embeddings.position": "embeddings.position_embeddings",
    "embeddings.token_type": "embeddings.token_type_embeddings",
    "embeddings.norm": "embeddings.LayerNorm",
    "encoder.layers.#.attention.query": "encoder.layer.#.attention.self.query",
    "encoder.layers.#.attention.key": "encoder.layer.#.attention.self.key",
    "encoder.layers.#.attention.value": "encoder.layer.#.attention.self.value",
    "encoder.layers.#.attention.output": "encoder.layer.#.attention.output.dense",
    "encoder.layers.#.attention.norm": "encoder.layer.#.attention.output.LayerNorm",
    "encoder.layers.#.feed_forward.inner": "encoder.layer.#.intermediate.dense",
    "encoder.layers.#.feed_forward.output": "encoder.layer.#.output.dense",
    "encoder.layers.#.feed_forward.norm": "encoder.layer.#.output.LayerNorm",
}
# Heads, by backbone and kind of model. BERT keeps the dense layer of a classifier, the pooler, in
# the encoder.
_HEAD_MODULES = {
    ("bert", "ForSequenceClassification"): {
        "head.dense": "pooler.dense",
        "head.output": "classifier",
    },
    ("roberta", "ForSequenceClassification"): {
        "head.dense": "classifier.dense",
        "head.output": "classifier.out_proj",
    },
    ("bert", "ForQuestionAnswering"): {"head.output": "qa_outputs"},
    ("roberta", "ForQuestionAnswering"): {"head.output": "qa_outputs"},
    # The output weights are the word embeddings: only a bias is the head's own.
    ("bert", "ForMaskedLM"): {
        "head.dense": "cls.predictions.transform.dense",
        "head.norm": "cls.predictions.transform.LayerNorm",
        "head.output": "cls.predictions",
    },
    ("roberta", "ForMaskedLM"): {
        "head.dense": "lm_head.dense",
        "head.norm": "lm_head.layer_norm",
        "head.output": "lm_head",
    },
}
_SHARED_FIELDS = (
    *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    *("hidden_act", "hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"),
    *("max_position_embeddings", "type_vocab_size", "initializer_range", "layer_norm_eps"),
    *("pad_token_id", "bos_token_id", "eos_token_id", "id2label", "label2id", "problem_type"),
)
_HF_CONFIGS: dict[str, type[PreTrainedConfig]] = {"bert": BertConfig, "roberta": RobertaConfig}
_HF_NAMES = {"bert": "Bert", "roberta": "Roberta"}
MASKED_LM = "ForMaskedLM"
_CONVERT = (
    "convert weights that you trust: safetensors.torch.save_file("
    "torch.load('pytorch_model.bin', weights_only=True), 'model.safetensors')"
)

logger = logging.getLogger(__name__)


def from_hf(
    cls: type[Model],
    source: PreTrainedModel | str | Path,
    *,
    depth_choice: DepthChoice,
    **config_changes: Any,
) -> Model:
    """See `DynaBertPreTrainedModel.from_hf`."""
    wants_masked_lm = _kind_of(cls) == MASKED_LM
    if isinstance(source, PreTrainedModel):
        hf = source
    else:
        hf = load_hf(source, masked_lm=wants_masked_lm)
    if wants_masked_lm:
        _check_tied(hf)
    config = elastic_config(hf.config, depth_choice=depth_choice, **config_changes)
    model = cls(config)
    model.to(dtype=hf.dtype, device=hf.device)  # type: ignore[call-arg]  # HF's wrapper
    own = model.state_dict()
    names = _name_pairs(model, hf)
    weights = hf.state_dict()
    taken = {ours: weights[theirs] for ours, theirs in names.items() if theirs in weights}
    # A head for another number of labels is replaced by a new one, as Hugging Face does on request.
    taken = {
        name: value
        for name, value in taken.items()
        if not (name.startswith("head.") and value.shape != own[name].shape)
    }
    missing = [name for name in names if name not in taken and not name.startswith("head.")]
    if missing:
        raise UserError(f"{type(hf).__name__} has no weights for {', '.join(missing[:3])}.")
    model.load_state_dict(taken, strict=False)
    if any(name.startswith("head.") and name not in taken for name in own):
        logger.warning("The head of the model is new: random until it is trained.")
    return model.train(hf.training)


def to_hf(model: DynaBertPreTrainedModel) -> PreTrainedModel:
    """See `DynaBertPreTrainedModel.to_hf`."""
    config = model.config
    shape = config.shape
    if {heads * shape.head_dim for heads in shape.heads} != {config.hidden_size}:
        raise UserError(
            "Hugging Face's classes need all heads of every layer, got "
            f"{shape.heads} heads of {config.hidden_size // shape.head_dim}; "
            "save the sub-network as it is (save_pretrained) and load it with AutoModel instead."
        )
    if len(set(shape.neurons)) != 1:
        raise UserError(
            "Hugging Face's classes need the same number of neurons in every layer, got "
            f"{shape.neurons}; save the sub-network as it is (save_pretrained) instead."
        )
    if config.length_config is not None:
        raise UserError(
            f"Hugging Face's classes cannot drop tokens, and this network keeps {shape.length_config} of "
            "them; save it as it is (save_pretrained) instead."
        )
    values = {name: getattr(config, name) for name in _SHARED_FIELDS}
    hf_config = _HF_CONFIGS[config.backbone](**values)
    hf_class = getattr(transformers, _HF_NAMES[config.backbone] + _kind(model))
    # The bare encoder has no pooler here: BERT's belongs to its classifier.
    hf = hf_class(hf_config, **({"add_pooling_layer": False} if _kind(model) == "Model" else {}))
    weights = model.state_dict()
    pairs = _name_pairs(model, hf)
    lacking, _ = hf.load_state_dict(
        {theirs: weights[ours] for ours, theirs in pairs.items()}, strict=False
    )
    # Weights that are others' again came with those.
    if missing := set(lacking) - set(hf.all_tied_weights_keys):
        raise UserError(f"there are no weights for {min(missing)} of {type(hf).__name__}.")
    hf = hf.to(dtype=model.dtype)
    return hf.to(model.device).train(model.training)


def load_hf(source: str | Path, *, masked_lm: bool = False) -> PreTrainedModel:
    """The BERT or RoBERTa of a folder or hub id, with the head its configuration names.

    masked_lm: with the head for masked tokens instead, if it has one. Without this, that head does not
    count: most encoders name it, and what else they hold, BERT's pooler, would be left behind.

    Raises:
        UserError: another kind of model, a damaged one, or weights that are not safetensors.
    """
    weights = _weight_names(source)
    config = _load_config(source, weights)
    _check_backbone(config, where=str(source))
    name, suffix = _HF_NAMES[config.model_type], _stored_kind(config, weights)
    if masked_lm and _has_masked_lm_head(weights):
        suffix = MASKED_LM
    try:
        return getattr(transformers, name + suffix).from_pretrained(
            source, config=config, use_safetensors=True, dtype="float32"
        )
    except BROKEN_FILES as error:
        raise UserError(
            f"cannot load {source}: it needs a whole model.safetensors file that fits its config.json "
            f"(pickled .bin weights are not read, they can run code; {_CONVERT}). "
            f"Cause: {first_line(error)}"
        ) from error


def stored_config(source: str | Path) -> PreTrainedConfig:
    """The configuration of a BERT or RoBERTa in a folder or on the hub; reads no weights.

    Raises:
        UserError: another kind of model, or no readable configuration.
    """
    config = _load_config(source, _weight_names(source))
    _check_backbone(config, where=str(source))
    return config


def has_masked_lm_head(source: str | Path) -> bool:
    """Whether a folder or hub id holds a head for masked tokens; reads no weights."""
    return _has_masked_lm_head(_weight_names(source))


def _has_masked_lm_head(weights: Iterable[str]) -> bool:
    heads = [
        modules["head.dense"] for (_, kind), modules in _HEAD_MODULES.items() if kind == MASKED_LM
    ]
    return any(name.startswith(f"{head}.") for name in weights for head in heads)


def check_source(source: str | Path) -> None:
    """Refuse a folder that `load_hf` would refuse, without reading its weights.

    Raises:
        UserError: another kind of model, or no weights in a safetensors file.
    """
    weights = _weight_names(source)
    if not weights:
        raise UserError(
            f"{source} holds no readable model.safetensors (pickled .bin weights are not read, they can run "
            f"code; {_CONVERT})."
        )
    _check_backbone(_load_config(source, weights), where=str(source))


def _weight_names(source: str | Path) -> list[str]:
    """The names of the stored weights; none where they are not in one safetensors file."""
    try:
        path = cached_file(str(source), "model.safetensors")
        with safe_open(path, "pt") as file:
            return list(file.keys())
    except BROKEN_FILES:
        return []  # loading them will say what is wrong


def _load_config(source: str | Path, weights: list[str]) -> PreTrainedConfig:
    try:
        values, _ = PreTrainedConfig.get_config_dict(source)
        if values.get("model_type"):
            return AutoConfig.from_pretrained(source, trust_remote_code=False)
        # As early versions of the library, and the code of the paper, left it.
        for model_type, config_class in _HF_CONFIGS.items():
            if any(name.startswith(f"{model_type}.") for name in weights):
                return config_class.from_dict(values)
        raise ValueError("it names no model_type, and the weights' names do not tell it")
    except BROKEN_FILES as error:
        raise UserError(
            f"cannot read the configuration of {source}: {first_line(error)}"
        ) from error


def _stored_kind(config: PreTrainedConfig, weights: list[str]) -> str:
    """Which of our kinds of model a checkpoint holds; "Model" where its head is of another kind."""
    outputs = {
        kind: modules["head.output"]
        for (backbone, kind), modules in _HEAD_MODULES.items()
        if backbone == config.model_type and kind != MASKED_LM
    }
    declared = (config.architectures or [""])[0]
    if hasattr(transformers, declared):
        kind = declared.removeprefix(_HF_NAMES[config.model_type])
        return kind if kind in outputs else "Model"
    # No class of the library is named: the weights tell.
    return next((kind for kind, name in outputs.items() if f"{name}.weight" in weights), "Model")


def elastic_config(
    config: PreTrainedConfig, *, depth_choice: DepthChoice = "paper", **changes: Any
) -> DynaBertConfig:
    """The configuration of an elastic model that computes what a BERT or RoBERTa with `config` does."""
    _check_backbone(config, where=type(config).__name__)
    values: dict[str, Any] = {name: getattr(config, name, None) for name in _SHARED_FIELDS}
    values |= {"backbone": config.model_type, "depth_choice": depth_choice}
    if "num_labels" in changes or "id2label" in changes:
        del values["id2label"], values["label2id"]
    return DynaBertConfig(**(values | changes))


def _check_backbone(config: PreTrainedConfig, *, where: str) -> None:
    if config.model_type not in BACKBONES:
        raise UserError(
            f"{where} is a {config.model_type!r} model; the elastic encoder reads "
            f"{' and '.join(BACKBONES)}."
        )
    if getattr(config, "position_embedding_type", None) not in (None, "absolute"):
        raise UserError(
            f"{where} uses {config.position_embedding_type!r} positions; only absolute ones are read."
        )
    if getattr(config, "is_decoder", False):
        raise UserError(f"{where} is a decoder (is_decoder=True); only encoders are read.")


def _check_tied(hf: PreTrainedModel) -> None:
    """Refuse a head for masked tokens whose output weights are not the word embeddings."""
    output = hf.get_output_embeddings()
    if output is None:
        return
    weights, embeddings = output.get_parameter("weight"), hf.get_input_embeddings()
    if not torch.equal(weights, embeddings.get_parameter("weight")):
        raise UserError(
            f"the output weights of this {type(hf).__name__} are not its word embeddings "
            "(tie_word_embeddings is false); only tied ones are read."
        )


def _kind(model: PreTrainedModel) -> str:
    return _kind_of(type(model))


def _kind_of(cls: type[PreTrainedModel]) -> str:
    """ "Model", "ForSequenceClassification", ... of our classes and Hugging Face's alike."""
    return re.sub(r"^(DynaBert|Bert|Roberta)", "", cls.__name__)


def _name_pairs(ours: DynaBertPreTrainedModel, hf: PreTrainedModel) -> dict[str, str]:
    """The parameters of `ours`, each with its name in `hf`, as far as the two kinds of model share them."""
    config = ours.config
    our_prefix = "" if ours.base_model is ours else f"{ours.base_model_prefix}."
    hf_prefix = "" if hf.base_model is hf else f"{hf.base_model_prefix}."
    modules = {our_prefix + name: hf_prefix + theirs for name, theirs in _ENCODER_MODULES.items()}
    for name, theirs in _HEAD_MODULES.get((config.backbone, _kind(ours)), {}).items():
        if theirs.startswith("pooler."):
            modules[name] = hf_prefix + theirs
        elif _kind(ours) == _kind(hf):
            modules[name] = theirs
    patterns = [
        (re.compile(re.escape(name).replace(r"\#", r"(\d+)") + r"\.(\w+)"), theirs)
        for name, theirs in modules.items()
    ]
    pairs = {}
    for parameter, _ in ours.named_parameters():
        for pattern, theirs in patterns:
            if match := pattern.fullmatch(parameter):
                *layer, weight_or_bias = match.groups()
                pairs[parameter] = theirs.replace("#", "".join(layer)) + "." + weight_or_bias
    return pairs
