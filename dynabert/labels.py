"""Marks in labels."""

# As in torch's cross-entropy and Hugging Face's classes: a label that counts for nothing, for example of a
# token that is not masked.
IGNORED_LABEL = -100
