"""Networks, one a file: ``TITLE SOURCE INPUT_SIZE MEAN STD LAYERS build(classes)``, and where the weights are.

``LAYERS`` maps a layer's name, deepest first, to its activation's and its following pool's module path.
``WEIGHTS`` is torchvision's enumeration of weights, or ``SHIPPED`` a file of ``configs/weights``. ``BACKBONE``
are the prefixes of what another network's weights may fill when training starts; the rest is then new.
"""
