"""How do I take a sub-network with me?"""

import streamlit as st
import torch

from dynabert.analysis.choices import find_row
from dynabert.evaluation import count_macs, num_params_total
from dynabert.export import (
    BITS,
    export_bytes,
    export_command,
    export_name,
    model_card,
    usage,
    zip_subnet,
)
from pages.shared import by_layer, cache, controls, onnx_section, wording

run = controls.open_run()
task = run.info.task
results = cache.all_results(run)
tokens = int(results["tokens"].iloc[0])

controls.header(
    "How do I take a sub-network with me?",
    "A sub-network becomes a small dense model of its own: a folder that `transformers` loads, or one ONNX "
    "file that runs without PyTorch; with tokenizer and a model card.",
)

subnet = by_layer.choose_subnet(run, results)
model = cache.model(run)
row = find_row(results, subnet.resolve(run.config.shape))
form = st.segmented_control(
    "Format",
    tuple(wording.FORMATS),
    default="transformers",
    required=True,
    format_func=lambda one: wording.FORMATS[one],
    key="format",
    help="ONNX Runtime is often faster than PyTorch for one text, and 8-bit weights are faster again: "
    "the file is timed and, in 8 bits, scored when it is made.",
)
half = form == "transformers" and st.toggle(
    "16-bit weights",
    value=run.config.dtype == torch.float16,  # nothing is lost where the run is stored so
    key=f"half-{run.name}",  # or the run before would decide
    help="Half the size. The answers change by about a thousandth, and the numbers below were measured "
    "with the run's own weights.",
)
size = export_bytes(model, subnet, bits=16 if half else BITS[form])
share = num_params_total(model, subnet) / num_params_total(model)
with st.container(horizontal=True):
    st.metric(
        "Size of the weights",
        f"{'about ' if form == 'onnx-int8' else ''}{size / 1e6:.1f} MB",
        border=True,
    )
    st.metric(
        "Parameters",
        f"{num_params_total(model, subnet) / 1e6:.2f} M",
        help="Embeddings, Transformer layers and head.",
        border=True,
    )
    st.metric(
        f"MACs, {tokens} tokens",
        f"{count_macs(model, subnet, tokens) / 1e6:,.0f} M",
        border=True,
    )
    st.metric(
        f"Dev {wording.metric_title(task.metric)}",
        "–" if row is None else f"{row[task.metric]:.3f}",
        help=wording.metric_help(task.metric, task.kind),
        border=True,
    )
st.caption(
    f"{share:.0%} of the full network's parameters: the embeddings are the same for every sub-network."
)
if row is None:
    st.caption("It was not evaluated; the page Accuracy and size can do that first.")
elif row["collapsed"]:
    st.warning(f"This sub-network {wording.COLLAPSED}.", icon=":material/warning:")

if form == "transformers":
    name = export_name(run, subnet)
    controls.download_zip(
        name, lambda: zip_subnet(run, subnet, model=model, half=half), f"zip-{name}-{half}"
    )
    st.markdown("The same from the command line:")
    st.code(export_command(run, subnet, half=half), language="bash", wrap_lines=True)
    st.markdown("Then, with this package installed:")
    st.code(
        f"import dynabert\n{usage(run, name)}",
        language="python",
    )
    with st.expander("The model card that goes with it"):
        st.code(model_card(run, model, subnet, half=half), language="markdown", wrap_lines=True)
else:
    onnx_section.show(run, subnet, form, None if row is None else row[task.metric])
