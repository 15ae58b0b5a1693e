"""Taking a sub-network away: for Hugging Face's library, or as an ONNX file, with its measured numbers."""

from dynabert.export.apart import OnnxArchive, onnx_archive
from dynabert.export.card import CARD, OnnxFacts, loading, model_card, onnx_usage, usage
from dynabert.export.folder import export_bytes, export_subnet, zip_folder, zip_subnet
from dynabert.export.naming import BITS, Format, export_command, export_name
from dynabert.export.onnx_folder import export_onnx

__all__ = [
    "BITS",
    "CARD",
    "Format",
    "OnnxArchive",
    "OnnxFacts",
    "export_bytes",
    "export_command",
    "export_name",
    "export_onnx",
    "export_subnet",
    "loading",
    "model_card",
    "onnx_archive",
    "onnx_usage",
    "usage",
    "zip_folder",
    "zip_subnet",
]
