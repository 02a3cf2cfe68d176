"""The price book: shared/catalog/prices.json is made of the tables in this folder by `python -m devtools.prices`.

To change a price: edit a table, with the source and the day it was read, and run it again.

    tokens.csv   USD per 1M tokens: a line per model, deployment type and tier (`above_272k`: the whole request of a
                 prompt longer than that)
    units.csv    everything else: other kinds of tokens, `training` and `characters` per 1M; `audio_hour`,
                 `training_hour` and `hosting_hour` per hour; `image:<quality>/<size>` each
    tools.csv    built-in tools of Responses: USD per call, or per session of a code interpreter
    names.csv    other exact names of a model; a dated name has the undated price only where it stands here
    sources.csv  where a figure was read, and when
"""
