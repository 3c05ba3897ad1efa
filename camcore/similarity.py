"""How alike the order of two maps' values is: Spearman's correlation, of a batch on its device."""

import torch
from torch import Tensor


def ranks(values: Tensor) -> Tensor:
    """Ranks ``(N,n)`` from 0, in double, of ``values (N,n)``; equal ones share their mean."""
    ordered, places = values.sort(dim=1)
    at = torch.arange(values.shape[1], device=values.device).expand_as(places)
    new = torch.ones_like(ordered, dtype=torch.bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = torch.where(new, at, 0).cummax(1).values
    end = torch.ones_like(new)
    end[:, :-1] = new[:, 1:]
    last = torch.where(end, at, values.shape[1]).flip(1).cummin(1).values.flip(1)
    shared = (first + last).double() / 2
    return torch.empty_like(shared).scatter_(1, places, shared)


def spearman(maps: Tensor, others: Tensor) -> Tensor:
    """Spearman's rank correlation ``(N,)`` of maps ``(N,...)``; 0 where either is constant."""
    a, b = (ranks(m.flatten(1)) for m in (maps, others))
    a, b = (r - r.mean(1, keepdim=True) for r in (a, b))
    spread = (a.square().sum(1) * b.square().sum(1)).sqrt()
    return torch.where(spread > 0, (a * b).sum(1) / spread.clamp(min=1e-300), 0.0)
