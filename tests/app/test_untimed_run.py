"""Every page on a run whose sub-networks were never timed, of a task with two dev sets."""

from __future__ import annotations

import re

import pandas as pd
from reading import texts

from pages.shared.links import PAGES

pytest_plugins = ["app_fixtures", "mnli_run"]


def test_every_page_opens_without_latencies(open_app, mnli):
    assert mnli.results["latency_ms"].isna().all()
    tables = []
    for page in PAGES:
        at = open_app(mnli.folder.parent, page, run=mnli.name)
        assert not at.error, (page, at.error[0].value)
        captions, numbers = ([one.value for one in kind] for kind in (at.caption, at.metric))
        assert not re.search(r"\bnan\b", " ".join([*texts(at), *captions, *numbers]), re.I), page
        for table in at.dataframe:
            if isinstance(table.value, pd.DataFrame) and "latency_ms" in table.value:
                assert table.value["latency_ms"].dtype.kind == "f", page
                tables.append(page)
    assert "overview" in tables
