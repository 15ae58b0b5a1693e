"""The paper's tables and figures beside our own measured numbers.

`published` holds what the paper prints, `tables` what each row is in terms of recipes and
sub-networks, `plan` and `queue` train what is missing, `results` keeps each run as one file,
`compare` puts both side by side, `markdown` writes that down.
"""
