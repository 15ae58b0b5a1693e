"""How do I read all this?"""

import streamlit as st

from pages.shared import controls, glossary, tour

run = controls.open_run()
controls.header(
    "How do I read all this?",
    "A tour of six questions through the app, each with its answer computed from the run that is open, and "
    "the words that the pages use.",
)
st.subheader("Guided tour")
st.markdown("A box above the page asks; look for yourself before you open the answer.")
if not run.is_family:
    st.info(tour.NEEDS_FAMILY, icon=":material/info:")
if st.button("Start the tour", type="primary", icon=":material/tour:"):
    tour.go_to(1)
with st.container(gap="xxsmall", key="tour-steps"):
    # Streamlit centres a button's text where it takes two lines.
    st.html("<style>.st-key-tour-steps button p { text-align: left }</style>")
    for number, step in enumerate(tour.STEPS, start=1):
        label = f"{number}. {step.question} *({step.title})*"
        if st.button(label, type="tertiary", key=f"tour-step-{number}"):
            tour.go_to(number)

glossary.show()
st.caption(
    "Attention shows where a head reads, not by itself why a network answers as it does. Ask the page "
    "Importance what happens without the head."
)
