"""How other packages make the same maps, one package a file: their numbers can be explained.

A style has ``TITLE``, ``SOURCE``, ``METHODS`` (its own versions of methods, ``{name: (cam,
costly)}``), and ``combine(method, maps, size)``: raw ``(N,h,w)`` maps of one or several layers to
one in [0, 1], ``(N,size,size)``.
"""
