"""The app: navigation, and which run is open. Start it with `streamlit run app.py`."""

from pathlib import Path

import streamlit as st

from dynabert.errors import UserError
from dynabert.training.memory import limit_kernel_caches
from pages.shared import controls, notices, state, tour, wording

# A file of our own: Streamlit would fetch a Material icon or an emoji for the tab from the internet.
ICON = Path(__file__).parent / "pages" / "shared" / "icon.svg"

limit_kernel_caches()  # before the first product of matrices
# Before the pages are named, or the tab would have the icon of one of them.
st.set_page_config(page_icon=str(ICON), layout="wide")
page = st.navigation(
    [
        st.Page("pages/overview.py", title="Overview", icon=":material/info:", default=True),
        st.Page("pages/importance.py", title="Importance", icon=":material/leaderboard:"),
        st.Page("pages/attention.py", title="Attention", icon=":material/grid_on:"),
        st.Page("pages/fusion.py", title="Function fusion", icon=":material/merge:"),
        st.Page("pages/survivors.py", title="Surviving tokens", icon=":material/filter_alt:"),
        st.Page("pages/accuracy.py", title="Accuracy and size", icon=":material/scatter_plot:"),
        st.Page("pages/search.py", title="Search", icon=":material/travel_explore:"),
        st.Page("pages/try_it.py", title="Try it", icon=":material/chat:"),
        st.Page("pages/compare.py", title="Compare", icon=":material/compare_arrows:"),
        st.Page("pages/results.py", title="Results", icon=":material/table_chart:"),
        st.Page("pages/take_away.py", title="Take it away", icon=":material/download:"),
        st.Page("pages/learn.py", title="Tour and glossary", icon=":material/school:"),
        st.Page("pages/train.py", title="Train and watch", icon=":material/model_training:"),
    ],
    expanded=True,
)
st.set_page_config(page_title=f"{page.title} · DynaBERT workbench")
state.arrive()
notices.make_room()
try:
    if page.url_path in controls.PAGES_WITHOUT_RUN:
        page.run()
    elif controls.choose_run():
        tour.show(page.url_path)
        page.run()
except state.PageEndsError:
    pass
except UserError as error:
    st.error(wording.sentence(error), icon=":material/error:")
finally:
    state.write_address(page.url_path)
