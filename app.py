"""The app: navigation, and which run is open. Start it with `streamlit run app.py`."""

from pathlib import Path

import streamlit as st

from dynabert.errors import UserError
from dynabert.training.memory import limit_kernel_caches
from pages.shared import controls, glossary, links, notices, state, tour, wording

# A file of our own: Streamlit would fetch a Material icon or an emoji for the tab from the internet.
ICON = Path(__file__).parent / "pages" / "shared" / "icon.svg"

limit_kernel_caches()  # before the first product of matrices

# Before the pages are named, or the tab would have the icon of one of them.
st.set_page_config(page_icon=str(ICON), layout="wide")
pages = [
    st.Page(f"pages/{name}.py", title=title, icon=f":material/{icon}:", default=name == "overview")
    for name, (title, icon) in links.PAGES.items()
]
page = st.navigation(pages, expanded=True)
title, _ = next(
    about for one, about in zip(pages, links.PAGES.values(), strict=True) if one is page
)
st.set_page_config(page_title=f"{title} · DynaBERT workbench")
state.arrive()
notices.make_room()
try:
    if page.url_path in controls.PAGES_WITHOUT_RUN:
        page.run()
    elif controls.choose_run():
        tour.show(page.url_path)
        page.run()
    elif page.url_path == "learn":
        glossary.show()  # the words need no run
except state.PageEndsError:
    pass
except UserError as error:
    st.error(wording.sentence(error), icon=":material/error:")
finally:
    state.write_address(page.url_path)
