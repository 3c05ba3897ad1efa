"""CAM methods, one a file: ``TITLE``, ``SOURCE`` and ``cam(tap) -> (N,h,w)``, raw and not normalised."""
