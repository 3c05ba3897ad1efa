"""Principal components of a layer's channels: where they vary together (Eigen-CAM)."""

import torch
from torch import Tensor


def first(values: Tensor) -> Tensor:
    """Projection ``(N,h,w)`` of ``(N,C,h,w)`` on the first right singular vector of ``(hw,C)``.

    Not centred. A singular vector's sign is arbitrary: a map whose minimum is the larger in
    magnitude is turned round (Seg-Eigen-CAM, eq. 13). Each row is computed by itself, for a
    batched product may round by the number of its rows. One that is not finite comes out NaN.
    """
    maps = torch.zeros_like(values[:, 0], dtype=torch.double)
    for row, channels in enumerate(values.flatten(2)):
        maps[row] = _projection(channels.double()).unflatten(0, values.shape[2:])
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return torch.where(-low > high, -maps, maps).to(values.dtype)


def _projection(channels: Tensor) -> Tensor:
    """That of one row, ``(C,hw)`` to ``(hw,)``, from the smaller Gram matrix's last eigenvector."""
    if not channels.isfinite().all():
        return torch.full_like(channels[0], torch.nan)
    if len(channels) <= channels.shape[1]:
        return torch.linalg.eigh(channels @ channels.T).eigenvectors[:, -1] @ channels
    left = torch.linalg.eigh(channels.T @ channels).eigenvectors[:, -1]
    return left * (channels @ left).norm()
