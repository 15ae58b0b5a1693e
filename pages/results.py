"""Do the paper's results hold here?"""

import streamlit as st

from dynabert.reproduction.compare import Comparison
from dynabert.reproduction.layout import Figure, Table
from dynabert.reproduction.tables import FIGURES, TABLES
from pages.shared import cache, controls, notices, state, wording
from pages.shared.results import figure, table
from pages.shared.results.common import choose

FIRST = "table3"  # the ablation that a small backbone can judge best
BACKBONE = "minilm"  # where nothing has been measured
MOST_NAMED = 3  # damaged files

state.enter_through_app()
state.follow_address()
results, damaged = cache.reproduction_results(state.results_dir())
without = cache.reproduction_without(state.ROOT)
backbones = list(dict.fromkeys(result.backbone for result in results)) or [BACKBONE]
shown: dict[str, Table | Figure] = {**TABLES, **FIGURES}
titles = {name: one.full_title for name, one in shown.items()}

controls.header(
    "Do the paper's results hold here?",
    "Tables 1 to 8 and Figures 3 and 4 of DynaBERT (Hou et al., 2020), each number of the paper beside what "
    "the recipes of this project measured; and three whole recipes side by side: the choices of the "
    "authors' code, the paper's, and the best found here.",
)
if damaged:
    st.warning(
        f"{wording.count(len(damaged), 'result')} cannot be read and {'is' if len(damaged) == 1 else 'are'} "
        "left out. " + " ".join(map(wording.sentence, damaged[:MOST_NAMED])),
        icon=":material/warning:",
    )
with st.container(horizontal=True):
    chosen = shown[choose("Table or figure", "table", titles, FIRST, decides=["score"])]
    backbone = backbones[0]
    asked = state.recall("backbone")
    if len(backbones) > 1:
        backbone = choose("Backbone", "backbone", {name: name for name in backbones}, backbone)
    elif asked not in (None, backbone):
        notices.fell_back("backbone", asked, f"{backbone} is shown")
if isinstance(chosen, Figure):
    figure.show(chosen, results, backbone, without)
else:
    table.show(Comparison(chosen, backbone, results, without))
