"""Writing an augmentation, shard by shard; and going on with one that was cut off."""

from __future__ import annotations

import fcntl
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from dynabert.data.augmentation.candidates import Candidates, count_origins
from dynabert.data.augmentation.drawing import draw_row, row_random
from dynabert.data.augmentation.folder import (
    MANIFEST,
    SOURCE_ROW,
    UNFINISHED,
    Augmentation,
    read_manifest,
    shard_names,
)
from dynabert.data.augmentation.glove import WordVectors
from dynabert.data.augmentation.masked_lm import MaskedLanguageModel
from dynabert.data.augmentation.settings import (
    FEWER_VECTORS,
    GLOVE_ALONE,
    Manifest,
    Plan,
    Resource,
    Settings,
    Shard,
    check_augmentable,
)
from dynabert.data.loading import TaskData
from dynabert.data.tasks import Task
from dynabert.errors import UserError
from dynabert.files import file_sha256, new_file, remove_partials, write_text_atomically

ROWS_PER_SHARD = 512  # of the source; what an interruption can cost
_ROWS_AT_ONCE = 32  # whose words are looked up together; no result depends on it
_LOCK = ".lock"  # left when it is complete, it would be no harm; it is removed


def augment(
    data: TaskData,
    out: Path,
    settings: Settings,
    *,
    glove: Path,
    masked_lm: str | None = None,
    device: str = "cpu",
    rows_per_shard: int = ROWS_PER_SHARD,
    on_rows: Callable[[int, int], None] = lambda done, total: None,
) -> Augmentation:
    """Write new rows for every training row of a task into a folder.

    Cut off at any moment, the same call goes on after the last shard that was written, and ends with
    the same bytes.

    masked_lm: a folder or hub id; None, or an encoder without that head: GloVe alone, with a notice.
    device: where the masked language model computes.
    on_rows: told how many training rows are done, and how many there are.

    Raises:
        UserError: bad input, or the folder holds anything but the beginning of the same
        augmentation.
    """
    check_augmentable(data.task)
    vectors = WordVectors.read(glove, settings.glove_words)
    model = None if masked_lm is None else MaskedLanguageModel.load(masked_lm, device)
    plan = Plan(
        task=data.task.name,
        text_columns=data.task.text_columns,
        num_source=len(data.train),
        source_fingerprint=data.train_fingerprint,
        settings=settings,
        glove=Resource(name=glove.name, sha256=file_sha256(glove)),
        masked_lm=_resource(model, masked_lm),
        device="cpu" if model is None else device,
        rows_per_shard=rows_per_shard,
    )
    notices = tuple(_notices(vectors, masked_lm, model is not None))
    candidates = Candidates(vectors, model, settings.candidates)
    with _only_here(out):
        manifest = _begun(out, Manifest(plan=plan, notices=notices, shards={}))
        if not (out / MANIFEST).is_file():
            for number, name in enumerate(shard_names(manifest)):
                first = number * rows_per_shard
                rows = range(first, min(first + rows_per_shard, plan.num_source))
                if name not in manifest.shards:
                    shard = _write_shard(out / name, data, rows, candidates, settings, on_rows)
                    manifest = _with(manifest, name, shard)
                    _write_manifest(out / UNFINISHED, manifest)
                on_rows(rows.stop, plan.num_source)
            _write_manifest(out / MANIFEST, manifest)
        (out / UNFINISHED).unlink(missing_ok=True)
    return Augmentation.load(out)


def _notices(vectors: WordVectors, masked_lm: str | None, has_head: bool) -> Iterator[str]:
    """What a reader of scores that rest on it must know."""
    if masked_lm is None:
        yield f"augmented without a masked language model, {GLOVE_ALONE}"
    elif not has_head:
        yield f"{masked_lm} has no masked-language-model head, {GLOVE_ALONE}"
    if len(vectors.words) < Settings.model_fields["glove_words"].default:
        yield (
            f"augmented with {len(vectors.words):,} {FEWER_VECTORS} "
            f"{Settings.model_fields['glove_words'].default:,} of GloVe; words without one stay as they are"
        )


def _resource(model: MaskedLanguageModel | None, name: str | None) -> Resource | None:
    if model is None or name is None:
        return None
    weights = Path(model.model.name_or_path) / "model.safetensors"
    shown = Path(name).resolve().name if Path(name).is_dir() else name
    return Resource(name=shown, sha256=file_sha256(weights))


def _begun(out: Path, wanted: Manifest) -> Manifest:
    """What is there already of the wanted augmentation; damaged shards do not count, and what a process
    was writing when it was killed is removed.

    Raises:
        UserError: something else is there.
    """
    remove_partials(out, {MANIFEST, UNFINISHED, *shard_names(wanted)})
    for name in (MANIFEST, UNFINISHED):
        if (out / name).is_file():
            earlier = read_manifest(out / name)
            _check_same(earlier.plan, wanted.plan, out)
            if name == MANIFEST:
                return earlier
            whole = {
                shard: values
                for shard, values in earlier.shards.items()
                if shard in shard_names(wanted)
                and (out / shard).is_file()
                and file_sha256(out / shard) == values.sha256
            }
            return wanted.model_copy(update={"shards": whole})
    others = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
    if others:
        raise UserError(f"{out} holds other files ({others[0]}); give a new or empty folder.")
    _write_manifest(out / UNFINISHED, wanted)
    return wanted


def _check_same(earlier: Plan, wanted: Plan, out: Path) -> None:
    theirs, ours = (plan.model_dump(mode="json") for plan in (earlier, wanted))
    theirs |= theirs.pop("settings")
    ours |= ours.pop("settings")
    different = [name for name, value in ours.items() if theirs[name] != value]
    if different:
        name = different[0]
        raise UserError(
            f"{out} holds an augmentation with another {name.replace('_', ' ')} ({theirs[name]}, now "
            f"{ours[name]}). Repeat its command, or give another folder."
        )


def _write_shard(
    path: Path,
    data: TaskData,
    rows: range,
    candidates: Candidates,
    settings: Settings,
    on_rows: Callable[[int, int], None],
) -> Shard:
    """New rows for those rows of the training data."""
    columns = data.task.text_columns
    source = data.train.select(rows)
    texts = list(zip(*(source[column] for column in columns), strict=True))
    labels = list(source["label"])
    new: list[tuple[str, ...]] = []
    origin: list[int] = []
    words: Counter[str] = Counter()
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = texts[start : start + _ROWS_AT_ONCE]
        found = candidates.of(text for own in part for text in own)
        for row, own in zip(rows[start:], part, strict=False):
            choices = [next(found) for _ in own]
            words += count_origins(choices)
            made = draw_row(
                own,
                choices,
                row_random(settings.seed, row),
                copies=settings.copies,
                threshold=settings.threshold,
            )
            new += made
            origin += [row] * len(made)
        on_rows(rows.start + start + len(part), len(data.train))
    values: dict[str, list[Any]] = {
        column: [row[n] for row in new] for n, column in enumerate(columns)
    }
    values["label"] = [labels[row - rows.start] for row in origin]
    values[SOURCE_ROW] = origin
    with new_file(path) as partial:
        table = pyarrow.Table.from_pydict(values, schema=_schema(data.task))
        pyarrow.parquet.write_table(table, partial, compression="zstd")
    return Shard(
        sha256=file_sha256(path),
        num_rows=len(new),
        num_unchanged=len(rows) - len(set(origin)),
        words=dict(sorted(words.items())),
    )


def _schema(task: Task) -> pyarrow.Schema:
    label = pyarrow.float64() if task.is_regression else pyarrow.int64()
    fields = [(column, pyarrow.string()) for column in task.text_columns]
    return pyarrow.schema([*fields, ("label", label), (SOURCE_ROW, pyarrow.int64())])


def _with(manifest: Manifest, name: str, shard: Shard) -> Manifest:
    shards = {**manifest.shards, name: shard}
    return manifest.model_copy(update={"shards": dict(sorted(shards.items()))})


def _write_manifest(path: Path, manifest: Manifest) -> None:
    write_text_atomically(path, manifest.model_dump_json(indent=1) + "\n")


@contextmanager
def _only_here(out: Path) -> Iterator[None]:
    """Make the folder, and keep other processes from writing to it.

    Raises:
        UserError: another process does, or it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        file = (out / _LOCK).open("w")
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror}.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"another process writes to {out}.") from error
        yield
        (out / _LOCK).unlink(missing_ok=True)
