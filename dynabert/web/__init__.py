"""Our own browser components, and pages with them that open from a file, without app and network.

The components are plain HTML, CSS and JavaScript in `assets/`, with no build step and nothing from
elsewhere. The app mounts the very same files.
"""

from dynabert.web.atlas_page import (
    AtlasView,
    atlas_component,
    atlas_page,
    nearest_in_atlas,
    packed_atlas,
    read_atlas,
)
from dynabert.web.fusion_page import fusion_page, measure_functions

__all__ = [
    "AtlasView",
    "atlas_component",
    "atlas_page",
    "fusion_page",
    "measure_functions",
    "packed_atlas",
    "nearest_in_atlas",
    "read_atlas",
]
