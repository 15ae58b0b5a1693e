"""How do I take a sub-network with me?"""

from __future__ import annotations

import io
import zipfile

from reading import metric

from dynabert import Subnet
from dynabert.errors import UserError
from dynabert.evaluation import num_params_total
from dynabert.examples import load_examples
from dynabert.export.onnx_network import OnnxNetwork, evaluate_onnx
from dynabert.search.search import open_search
from dynabert.search.settings import SearchSettings
from pages.shared import jobs, live, onnx_archives, wording

pytest_plugins = ["app_fixtures"]


def test_size_command_and_card_are_of_the_chosen_sub_network(open_app, tiny):
    at = open_app(tiny.folder.parent, "take_away", w="0.5", d="1")
    total = num_params_total(tiny.model(), Subnet(0.5))
    assert metric(at, "Size of the weights") == f"{total * 4 / 1e6:.1f} MB"
    assert metric(at, "Dev accuracy") == "0.800"
    command, use, card = (block.value for block in at.code)
    assert command == (
        f"python -m dynabert extract {tiny.argument} --subnet w0.50-d1.00 --out tiny-w0.50-d1.00"
    )
    assert "tiny-w0.50-d1.00" in use
    assert "accuracy 0.8000" in card
    at.toggle(key="half-tiny").set_value(True).run()
    assert metric(at, "Size of the weights") == f"{total * 2 / 1e6:.1f} MB"
    assert "--half" in at.code[0].value


def test_a_collapsed_one_is_called_so(open_app, tiny):
    at = open_app(tiny.folder.parent, "take_away", w="0.5", d="0.5")
    assert "collapsed" in at.warning[0].value


def test_an_onnx_file_is_made_on_request_and_scored_and_then_kept(open_app, tiny, monkeypatch):
    at = open_app(tiny.folder.parent, "take_away", w="0.5", d="1")
    at.segmented_control(key="format").set_value("onnx-int8").run()
    total = num_params_total(tiny.model(), Subnet(0.5))
    assert metric(at, "Size of the weights") == f"about {total / 1e6:.1f} MB"
    assert "--format onnx-int8" in at.code[0].value
    assert "onnxruntime.InferenceSession" in at.code[1].value
    assert not at.download_button
    at.button(key="write-onnx").click().run()
    assert at.button(key="stop-onnx").label == "Stop"
    job = jobs.find(onnx_archives.job_key(tiny, Subnet(0.5), "onnx-int8"))
    job.wait(None, 240)
    assert job.finished
    assert job.error is None
    at.run()
    assert not at.exception
    assert metric(at, "Size of the file").endswith(" MB")
    archive = onnx_archives.made(tiny, Subnet(0.5), "onnx-int8")
    zipped = zipfile.ZipFile(io.BytesIO(archive.content))
    zipped.extractall(tiny.folder.parent.parent / "taken")
    network = OnnxNetwork(
        tiny.folder.parent.parent / "taken" / "tiny-w0.50-d1.00-onnx-int8" / "model.onnx"
    )
    scored = evaluate_onnx(
        *(network, tiny.model(), Subnet(0.5), load_examples(tiny).dev), metrics=("accuracy",)
    )
    shown = metric(at, "Dev accuracy of the file")
    assert shown.removesuffix(" ✕").strip() == f"{scored.metrics['accuracy']:.3f}"
    assert at.download_button[0].label == wording.escape("tiny-w0.50-d1.00-onnx-int8.zip")
    assert "measured with this file" in at.code[2].value
    # It is there for whoever asks next.
    monkeypatch.setattr(onnx_archives, "onnx_archive", None)
    at.segmented_control(key="format").set_value("transformers").run()
    at.segmented_control(key="format").set_value("onnx-int8").run()
    assert metric(at, "Size of the file").endswith(" MB")


def test_a_file_that_cannot_be_made_says_why(open_app, tiny, monkeypatch):
    def fail(*_, **__):
        raise UserError("ONNX files need onnxscript; install with: pip install onnxscript")

    monkeypatch.setattr(onnx_archives, "onnx_archive", fail)
    at = open_app(tiny.folder.parent, "take_away", w="0.5", d="1")
    at.segmented_control(key="format").set_value("onnx").run()
    at.button(key="write-onnx").click().run()
    job = jobs.find(onnx_archives.job_key(tiny, Subnet(0.5), "onnx"))
    job.wait(None, 60)
    at.run()
    assert not at.exception
    assert "pip install onnxscript" in at.error[0].value
    assert not at.download_button
    assert at.button(key="write-onnx").label == "Write the file"


def test_no_file_is_timed_beside_a_search(open_app, own_run):
    search = open_search(own_run, "s", SearchSettings(num_trials=4, tokens=8))
    with search.at_work():
        at = open_app(own_run.folder.parent, "take_away", w="0.5", d="1")
        at.segmented_control(key="format").set_value("onnx").run()
        assert at.button(key="write-onnx").disabled
        assert "Not while the search s of tiny is at work" in at.button(key="write-onnx").help


def test_no_file_is_timed_beside_a_training(open_app, tiny, monkeypatch):
    monkeypatch.setattr(live, "busy", lambda: "the training of other")
    at = open_app(tiny.folder.parent, "take_away", w="0.5", d="1")
    at.segmented_control(key="format").set_value("onnx").run()
    assert at.button(key="write-onnx").disabled
    assert "Not while the training of other is at work" in at.button(key="write-onnx").help
