"""CAM methods, one a file: ``TITLE``, ``SOURCE`` and ``cam(tap)``, raw maps ``(N,h,w)``."""
