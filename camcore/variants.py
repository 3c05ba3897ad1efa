"""Variants by name: ``gamma=G`` (eq. 9), ``scale=NAME`` (Table IV) or ``fusion=NAME``: no torch."""

SCALED = ("S3", "S2", "S1")  # the stages scaled before the maximum; S5 and S4 are not
SCALABLE = (*SCALED, "layer3", "layer2", "layer1")  # a ResNet's if a variant says so (Table VIII)
SCALES = ("none", "sqrt", "tan")  # Table IV's tanh(x) is gamma=1 of Table III
FUSIONS = ("max", "product", "winsor")  # the paper's; RefineCAM's; Winsor-CAM's
WINSOR = "fusion=winsor"
DEFAULT = "gamma=2"  # eq. 9 with the paper's best, Table III


def parse(variant: str) -> tuple[str, float]:
    """``("tanh", G)`` of ``gamma=G``, ``(NAME, 0)`` of ``scale=NAME`` and ``fusion=NAME``.

    `ValueError` for anything else.
    """
    key, _, value = variant.partition("=")
    if value in {"scale": SCALES, "fusion": FUSIONS}.get(key, ()):
        return value, 0.0
    try:
        gamma = float(value) if key == "gamma" else 0.0
    except ValueError:
        gamma = 0.0
    if not 0 < gamma < float("inf"):
        accepted = f"gamma=NUMBER above 0, scale={', scale='.join(SCALES)}"
        accepted += f", fusion={', fusion='.join(FUSIONS)}"
        raise ValueError(f"unknown variant {variant!r}; known: {accepted}")
    return "tanh", gamma


def canonical(layer: str, variant: str) -> str:
    """The variant as records name it: empty where `layer` has no scaled stage.

    Without one a fusion has the `DEFAULT`, and a single layer is not scaled, nor fused otherwise.
    """
    parts = layer.split("+")
    if variant:
        name, gamma = parse(variant)
        variant = f"gamma={gamma:g}" if name == "tanh" else variant
        if name in FUSIONS:
            if len(parts) > 1 and name != "max":
                return variant
            variant = ""
    if not any(map(scalable, parts)):
        return ""
    return variant or (DEFAULT if len(parts) > 1 and set(parts) & set(SCALED) else "")


def scalable(layer: str) -> bool:
    """Whether a layer's map is scaled by a variant; a block is as its layer."""
    return layer.partition("[")[0] in SCALABLE
