"""A sub-network as a folder that Hugging Face's library loads, or as a zip archive of it."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path

from dynabert.evaluation.cost import num_params_total
from dynabert.export.card import CARD, model_card
from dynabert.export.naming import export_name
from dynabert.files import new_folder
from dynabert.modeling.models import TaskModel
from dynabert.runs import Run
from dynabert.subnet import Subnet


def export_subnet(
    run: Run,
    subnet: Subnet,
    folder: Path,
    *,
    model: TaskModel | None = None,
    half: bool = False,
) -> None:
    """Write a sub-network as a dense model with its tokenizer and a model card; all of it or nothing.

    model: the run's model, where it is loaded already.  half: store the weights in 16 bits.

    Raises:
        UserError: the folder exists.
    """
    whole = run.model() if model is None else model
    with new_folder(folder) as scratch:
        small = whole.extract(subnet)
        if half:
            small = small.half()
        small.save_pretrained(scratch)
        run.tokenizer().save_pretrained(scratch)
        (scratch / CARD).write_text(model_card(run, whole, subnet, half=half), encoding="utf-8")


def zip_subnet(
    run: Run,
    subnet: Subnet,
    *,
    model: TaskModel | None = None,
    half: bool = False,
) -> bytes:
    """The files of `export_subnet` in a zip archive, in one folder named after run and sub-network.

    Raises:
        UserError: the run's tokenizer or weights cannot be read any more.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / export_name(run, subnet)
        export_subnet(run, subnet, folder, model=model, half=half)
        return zip_folder(folder)


def zip_folder(folder: Path) -> bytes:
    """A folder's files in a zip archive, in one folder of the same name."""
    archive = io.BytesIO()
    # Weights are noise to a compressor: it would take long and save little.
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for path in sorted(folder.iterdir()):
            file.write(path, f"{folder.name}/{path.name}")
    return archive.getvalue()


def export_bytes(model: TaskModel, subnet: Subnet, *, bits: int = 32) -> int:
    """Size of its weights on disk, without the few kilobytes around them."""
    return num_params_total(model, subnet) * bits // 8
