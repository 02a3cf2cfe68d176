"""`python -m devtools.docs`: the pages of docs/ that are made of the code; `--check` only compares."""
