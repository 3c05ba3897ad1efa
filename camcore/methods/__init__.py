"""CAM methods, one a file: ``TITLE``, ``SOURCE`` and ``cam(tap)``, raw maps ``(N,h,w)``.

``COSTLY = True``: it asks the network again, so it runs only when named. ``POOLED``, ``LAYERS``:
what it is read at when no layer is named. ``NON_NEGATIVE = True``: its equation assumes activations
that are not negative, and camx says where some are.
"""
