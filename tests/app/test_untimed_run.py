"""Every page on a run whose sub-networks were never timed, of a task with two dev sets."""

from __future__ import annotations

import pandas as pd
from reading import texts

from pages.shared.links import PAGES

pytest_plugins = ["app_fixtures", "mnli_run"]


def test_every_page_opens_without_latencies(open_app, mnli):
    assert mnli.results["latency_ms"].isna().all()
    for page in PAGES:
        at = open_app(mnli.folder.parent, page, run=mnli.name)
        assert not at.error, (page, at.error[0].value)
        shown = " ".join(texts(at))
        assert "nan" not in shown.lower().split(), page
        for table in at.dataframe:
            if isinstance(table.value, pd.DataFrame) and "latency_ms" in table.value:
                assert table.value["latency_ms"].dtype.kind == "f", page
