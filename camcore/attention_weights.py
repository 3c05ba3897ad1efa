"""Attention step by step: softmaxes that fused kernels hide are computed openly, and kept."""

from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

SOFTMAXES = (torch.softmax, Tensor.softmax, functional.softmax)
_MULTI_HEAD = signature(functional.multi_head_attention_forward)


class Weights(TorchFunctionMode):
    """Within it, what attends by PyTorch's own functions does so openly, on this thread alone.

    kept: the attention weights ``(N,heads,queries,keys)`` after the softmax, in the order in which
    they are computed, each as the graph has it. Nothing of the network is changed. Only in
    evaluation mode: there is no dropout. What is masked causally or has fewer keys' heads than
    queries' is left to its own function, and not kept.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Tensor] = []

    def __torch_function__(
        self,
        func: Callable,
        types: Sequence[type],
        args: tuple = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is functional.scaled_dot_product_attention:
            if not (kwargs.get("is_causal") or kwargs.get("enable_gqa") or len(args) > 4):
                return self._attend(*args, **kwargs)
        elif func is functional.multi_head_attention_forward:
            options = _MULTI_HEAD.bind(*args, **kwargs).arguments
            if _plain(options):
                return self._multi_head(options)
        result = func(*args, **kwargs)
        if func in SOFTMAXES and result.ndim == 4:
            self.kept.append(result)
        return result

    def _attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        scale: float | None = None,
        **_: object,
    ) -> Tensor:
        """softmax(q k^T scale + mask) v, the softmax kept."""
        scores = query @ key.transpose(-2, -1) * (scale or query.shape[-1] ** -0.5)
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attn_mask, -torch.inf)
        elif attn_mask is not None:
            scores = scores + attn_mask
        self.kept.append(scores.softmax(-1))
        return self.kept[-1] @ value

    def _multi_head(self, given: dict[str, Any]) -> tuple[Tensor, Tensor | None]:
        """What `nn.MultiheadAttention` does for images second, ``(L,N,E)``."""
        biases = given["in_proj_bias"]
        parts = zip(
            (given["query"], given["key"], given["value"]),
            given["in_proj_weight"].chunk(3),
            (None, None, None) if biases is None else biases.chunk(3),
        )
        projected = (functional.linear(*part) for part in parts)
        heads = (p.unflatten(-1, (given["num_heads"], -1)).permute(1, 2, 0, 3) for p in projected)
        joined = self._attend(*heads).permute(2, 0, 1, 3).flatten(2)
        output = functional.linear(joined, given["out_proj_weight"], given["out_proj_bias"])
        if not given.get("need_weights", True):
            return output, None
        averaged = given.get("average_attn_weights", True)
        return output, self.kept[-1].mean(1) if averaged else self.kept[-1]


def _plain(given: dict[str, Any]) -> bool:
    """Whether a multi-head attention is of batches, without masks or tokens of its own."""
    unusual = ("bias_k", "bias_v", "key_padding_mask", "attn_mask", "use_separate_proj_weight")
    some = any(given.get(name) is not None and given[name] is not False for name in unusual)
    return not some and not given["add_zero_attn"] and given["query"].ndim == 3
