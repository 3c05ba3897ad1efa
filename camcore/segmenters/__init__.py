"""Segmentation networks, one a file: ``TITLE SOURCE INPUT_SIZE MEAN STD BACKBONE TEST build(classes) groups(module, lr)``.

``(N,3,h,w)`` to logits ``(N,classes,ceil(h/8),ceil(w/8))``; class 0 is the background. ``INPUT_SIZE`` is the crop
of training, ``TEST`` how an image is shown after it (arguments of `camcore.segment.predict`). ``INIT`` is the file of
``configs/weights`` that fills the backbone by default, ``adopt(state)`` puts another network's weights under its names.
"""
