"""Networks, one a file: ``TITLE``, ``SOURCE`` and ``SPEC``, a `camx.camcore.spec.Spec`.

Instead of ``SPEC`` a file may have module constants: ``INPUT_SIZE MEAN STD LAYERS build(classes)``,
and whatever else a `Spec` has, in capitals.
"""
