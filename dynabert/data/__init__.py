"""Tasks, their examples, and length-bucketed batches of them."""

from dynabert.data.csv_files import CsvColumns, load_csv
from dynabert.data.encoding import (
    Encoded,
    EncodedSplit,
    bucketed_batches,
    encode,
    encode_task,
    sorted_batches,
)
from dynabert.data.loading import TaskData, load_task_data
from dynabert.data.squad import EncodedWindows
from dynabert.data.tasks import TASKS, Task, find_task

__all__ = [
    "TASKS",
    "CsvColumns",
    "Encoded",
    "EncodedSplit",
    "EncodedWindows",
    "Task",
    "TaskData",
    "bucketed_batches",
    "encode",
    "encode_task",
    "find_task",
    "load_csv",
    "load_task_data",
    "sorted_batches",
]
