"""camx: which class activation map finds the object, by how much, and is the difference real?

`camx.cli` is the command line, `camx.evaluators` says what a number means, `camx.camcore` makes the
maps, and `camx.configs` holds tables, protocols and weights. In the checkout each is a folder
beside this one.
"""
