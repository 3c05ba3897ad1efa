"""The dense CRF of DeepLab (Kraehenbuehl and Koltun 2011), by an optional package."""

import numpy as np

# DeepLab-LargeFOV's parameters on VOC (Chen et al. 2015): iterations, then weight, space and colour of the two kernels.
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
        raise ModuleNotFoundError("the dense CRF is an optional package: pip install 'camx[crf]' (pydensecrf2)") from None
    classes, height, width = probabilities.shape
    field = DenseCRF2D(width, height, classes)
    field.setUnaryEnergy(unary_from_softmax(np.array(probabilities, np.float32, order="C")))
    field.addPairwiseGaussian(sxy=SMOOTH[1], compat=SMOOTH[0])
    field.addPairwiseBilateral(sxy=APPEARANCE[1], srgb=APPEARANCE[2], rgbim=np.array(image), compat=APPEARANCE[0])
    return np.array(field.inference(ITERATIONS)).reshape(classes, height, width)
