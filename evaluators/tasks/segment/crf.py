"""The dense CRF of DeepLab (Kraehenbuehl and Koltun 2011), by an optional package."""

import numpy as np

# DeepLab-LargeFOV's on VOC (Chen et al. 2015); weight, space and colour of the two kernels.
ITERATIONS = 10
SMOOTH = (3.0, 3.0)
APPEARANCE = (4.0, 121.0, 5.0)


def refine(image: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Probabilities ``(K,H,W)`` of ``image (H,W,3) uint8`` RGB after the CRF.

    Raises `ModuleNotFoundError` saying how to get the package.
    """
    try:
        from pydensecrf.densecrf import DenseCRF2D
        from pydensecrf.utils import unary_from_softmax
    except ImportError:
        how = "`pip install pydensecrf2` brings it"
        raise ModuleNotFoundError(f"the dense CRF is an optional package: {how}") from None
    classes, height, width = probabilities.shape
    field = DenseCRF2D(width, height, classes)
    field.setUnaryEnergy(unary_from_softmax(np.array(probabilities, np.float32, order="C")))
    weight, space = SMOOTH
    field.addPairwiseGaussian(sxy=space, compat=weight)
    weight, space, colour = APPEARANCE
    field.addPairwiseBilateral(sxy=space, srgb=colour, rgbim=np.array(image), compat=weight)
    return np.array(field.inference(ITERATIONS)).reshape(classes, height, width)
