"""Which sub-network should I take?"""

import streamlit as st

from dynabert.errors import UserError
from dynabert.search.background import WatchedSearch, find_searches
from dynabert.search.search import damaged_searches
from pages.shared import cache, controls, live, state, wording
from pages.shared.ose import section as ose
from pages.shared.search import asking, budget, outcome, progress

run = controls.open_run()
results = cache.results(run)

controls.header(
    "Which sub-network should I take?",
    "Say what it may cost or must score, and take what fits best of all that were evaluated. A search looks "
    "for more. Neither trains anything.",
)


def choose(searches: list[WatchedSearch]) -> WatchedSearch:
    """The search that is shown; one that is at work, where the view names none."""
    names = [one.search.name for one in searches]
    given = state.recall("search")
    if given not in names:
        working = [one.search.name for one in searches if one.is_under_way]
        state.remember("search", (working or names)[0])
    name = controls.choose_one("Search", "search", names)
    return searches[names.index(name)]


searches = find_searches(run)
busy = live.busy()
budget.offer(run, run.usual_tokens(results), busy)

st.subheader("Search for others")
st.markdown(
    "A run holds more sub-networks than anyone can look at: every width with every depth, and for each any "
    "number of tokens that leave its layers. A search tries those that promise most quality for their "
    "cost, and measures the best of them again."
)
for reason in damaged_searches(run):
    st.warning(
        f"{wording.sentence(UserError(reason))} It is left out.", icon=":material/broken_image:"
    )
if not searches:
    state.forget_quietly("search")
    st.info(
        f"{run.name} has not been searched yet. A search of 150 trials takes minutes: begin one below.",
        icon=":material/travel_explore:",
    )
else:
    shown = choose(searches)
    others = [one.search for one in searches if one.search.name != shown.search.name]
    if shown.is_under_way:
        progress.watch(run, shown.search.name)
    else:
        progress.show_ended(shown)
        try:
            outcome.show(run, shown.search, others)
        except UserError as error:
            st.error(wording.sentence(error), icon=":material/error:")
        progress.offer_discard(shown)
idle = not any(one.is_under_way for one in searches)
if idle:
    asking.offer(run, results, first=not searches)
st.divider()
ose.show(run, busy=busy)
