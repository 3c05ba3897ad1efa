"""Segmentation networks, one a file as in `camx.camcore.models`, with `groups` and `test`.

``(N,3,h,w)`` to logits ``(N,classes,ceil(h/8),ceil(w/8))``; class 0 is the background.
"""
