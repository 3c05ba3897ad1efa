"""Attention methods against their papers' equations, attention being written out in loops here."""

import math

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional

from camx.camcore import maps
from camx.camcore.attention_weights import Weights
from camx.camcore.layers import Layer
from camx.camcore.taps import tap

METHODS = ["rollout", "chefer", "legrad"]
TARGETS = torch.tensor([1, 3])
SMALL = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}


def of_torchvision():
    return torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5)


def of_timm(**options):
    pytest.importorskip("timm", reason="extra `timm` is not installed")
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(**SMALL, mlp_ratio=2, num_classes=5, **options)


BUILDERS = {
    "torchvision": of_torchvision,
    "class token": of_timm,
    "registers": lambda: of_timm(reg_tokens=3),
    "averaged": lambda: of_timm(class_token=False, global_pool="avg"),
    "averaged, class token": lambda: of_timm(global_pool="avg"),
    "not square": lambda: of_timm(dynamic_img_size=True),
}
PREFIX = {"registers": 4, "averaged": 0}


def example(name):
    """The network with weights that let everything matter, its images, and its patches' grid."""
    torch.manual_seed(4)
    net = BUILDERS[name]().eval()
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.3)
    grid = (3, 5) if name == "not square" else (4, 4)
    return net, torch.randn(2, 3, 8 * grid[0], 8 * grid[1]), grid


def tapped(net, images, targets=TARGETS, target="logit"):
    path = next(n for n, m in net.named_modules() if isinstance(m, nn.Conv2d))
    return tap(net, images, targets, [Layer("x", path)], target=target)["x"]


def made(name, *of, **options):
    return maps.methods([name])[name](tapped(*of, **options))


def projections(block, x):
    """Queries, keys and values ``(heads,T,d)`` of tokens ``(T,D)``."""
    if hasattr(block, "self_attention"):
        weight, bias = block.self_attention.in_proj_weight, block.self_attention.in_proj_bias
    else:
        weight, bias = block.attn.qkv.weight, block.attn.qkv.bias
    parts = (x @ weight.T + bias).reshape(len(x), 3, 2, 8).permute(1, 2, 0, 3)
    return parts[0], parts[1], parts[2]


def written_out(net, image):
    """Logits ``(K,)`` of one image, and block by block the attention and the score of that block's
    mean token, all in one graph.
    """
    torchvisions = hasattr(net, "encoder")
    if torchvisions:
        x = net.conv_proj(image[None]).flatten(2).transpose(1, 2)
        x = torch.cat([net.class_token, x], 1) + net.encoder.pos_embedding
        blocks, norm, head = net.encoder.layers, net.encoder.ln, net.heads
    else:
        x = net.norm_pre(net._pos_embed(net.patch_embed(image[None])))
        blocks, norm, head = net.blocks, net.norm, lambda t: net.head(net.fc_norm(t))
    x, kept, scores = x[0], [], []
    for block in blocks:
        first, second = (block.ln_1, block.ln_2) if torchvisions else (block.norm1, block.norm2)
        q, k, v = projections(block, first(x))
        kept.append(torch.stack([(q[h] @ k[h].T / math.sqrt(8)).softmax(1) for h in range(2)]))
        out = torch.cat([kept[-1][h] @ v[h] for h in range(2)], 1)
        x = x + (block.self_attention.out_proj if torchvisions else block.attn.proj)(out)
        x = x + block.mlp(second(x))
        scores.append(head(norm(x.mean(0))))
    pooled = norm(x)
    if torchvisions or net.global_pool == "token":
        return head(pooled[0]), kept, scores
    return head(pooled[net.num_prefix_tokens :].mean(0)), kept, scores


def product(left, right):
    size = len(left)
    rows = [[sum(left[i][m] * right[m][j] for m in range(size)) for j in range(size)]
            for i in range(size)]  # fmt: skip
    return rows


def read(flow, name, grid):
    """The class token's row, or the mean of the patches', over the patches."""
    prefix = PREFIX.get(name, 1)
    patches = range(prefix, len(flow))
    rows = patches if name.startswith("averaged") else [0]
    values = [sum(flow[i][j] for i in rows) / len(rows) for j in patches]
    return torch.tensor(values).reshape(grid)


def by_loops(method, name, net, image, target, grid, score=None):
    """The method's map of one image, ``(h,w)``, from its paper's equation."""
    logits, kept, scores = written_out(net, image)
    size = kept[0].shape[1]
    flow = [[float(i == j) for j in range(size)] for i in range(size)]
    if method == "legrad":
        total = [0.0] * size
        for attention, own_scores in zip(kept, scores):
            grad = torch.autograd.grad(own_scores[target], attention, retain_graph=True)[0]
            for j in range(size):
                positive = [max(0.0, grad[h, i, j].item()) for h in range(2) for i in range(size)]
                total[j] += sum(positive) / (2 * size) / len(kept)
        return torch.tensor(total[PREFIX.get(name, 1) :]).reshape(grid)
    grads = torch.autograd.grad((score or (lambda y: y[target]))(logits), kept)
    for attention, grad in zip(kept, grads):
        a, g = attention.tolist(), grad.tolist()
        step = [[0.0] * size for _ in range(size)]
        for i in range(size):
            for j in range(size):
                if method == "rollout":
                    step[i][j] = sum(a[h][i][j] for h in range(2)) / 2 + (i == j)
                else:
                    step[i][j] = sum(max(0.0, a[h][i][j] * g[h][i][j]) for h in range(2)) / 2
            if method == "rollout":
                whole = sum(step[i])
                step[i] = [value / whole for value in step[i]]
        after = product(step, flow)
        if method == "chefer":
            after = [[after[i][j] + flow[i][j] for j in range(size)] for i in range(size)]
        flow = after
    return read(flow, name, grid)


@pytest.mark.parametrize("name", BUILDERS)
def test_agrees_with_the_equations(name):
    net, images, grid = example(name)
    shown = tapped(net, images)
    for image, logits in zip(images, shown.logits):
        assert torch.allclose(written_out(net, image)[0], logits, atol=1e-4)
    for method in METHODS:
        expected = torch.stack(
            [by_loops(method, name, net, x, t, grid) for x, t in zip(images, TARGETS)]
        )
        actual = maps.methods([method])[method](shown)
        assert actual.shape == (2, *grid)
        assert expected.std() > 1e-3 * expected.max()
        assert torch.allclose(actual, expected, rtol=1e-3, atol=1e-4 * expected.max()), method


def test_weights_and_gradients_block_by_block():
    net, images, _ = example("torchvision")
    attention = tapped(net, images).attention
    for row, (image, target) in enumerate(zip(images, TARGETS)):
        logits, kept, _ = written_out(net, image)
        grads = torch.autograd.grad(logits[target], kept)
        for block, weights, grad in zip(attention.blocks, kept, grads, strict=True):
            assert torch.allclose(block.weights[row], weights, atol=1e-5)
            assert torch.allclose(block.grads[row], grad, rtol=1e-3, atol=1e-4 * grad.abs().max())
    assert attention.pool is None


def test_the_target_is_the_tap_s():
    net, images, grid = example("torchvision")
    actual = made("chefer", net, images, target="softmax")
    for image, target, shown in zip(images, TARGETS, actual):
        score = lambda y, target=target: y.softmax(0)[target]  # noqa: E731
        expected = by_loops("chefer", "torchvision", net, image, target, grid, score)
        assert torch.allclose(shown, expected, rtol=1e-3, atol=1e-4 * expected.max())


def pooled():
    """Attention pooling, as SigLIP's: no class token, one query after the blocks."""
    torch.manual_seed(4)
    net = of_timm(class_token=False, global_pool="map").eval()
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.3)
    return net, torch.randn(2, 3, 32, 32)


def test_attention_pooling_is_the_last_step():
    """The pool's row stands for the class token's; LeGrad's gradient is in the pool's weights."""
    net, images = pooled()
    shown = tapped(net, images)
    attention = shown.attention
    flow = {"rollout": torch.eye(16).repeat(2, 1, 1), "chefer": torch.eye(16).repeat(2, 1, 1)}
    for block in attention.blocks:
        mixed = block.weights.mean(1) + torch.eye(16)
        flow["rollout"] = mixed / mixed.sum(-1, keepdim=True) @ flow["rollout"]
        flow["chefer"] += (block.weights * block.grads).relu().mean(1) @ flow["chefer"]
    pool = attention.pool
    assert pool.weights.shape == (2, 2, 1, 16)
    flow["rollout"] = pool.weights.mean(1) @ flow["rollout"]
    flow["chefer"] = (pool.weights * pool.grads).relu().mean(1) @ flow["chefer"]
    for method, expected in flow.items():
        actual = maps.methods([method])[method](shown)
        assert torch.allclose(actual.flatten(1), expected[:, 0], rtol=1e-4, atol=1e-7)


def test_legrad_of_attention_pooling():
    net, images = pooled()
    actual = made("legrad", net, images)
    seen = [x := net.pos_drop(net._pos_embed(net.patch_embed(images)))]
    seen = [x := block(x) for block in net.blocks]
    pool, total = net.attn_pool, torch.zeros(2, 16)
    for tokens in seen:
        x = net.norm(tokens)
        k, v = pool.kv(x).reshape(2, 16, 2, 2, 8).permute(2, 0, 3, 1, 4)
        q = pool.q(pool.latent).reshape(1, 1, 2, 8).transpose(1, 2)
        weights = (q @ k.transpose(2, 3) / math.sqrt(8)).softmax(-1)
        out = pool.proj((weights @ v).transpose(1, 2).reshape(2, 1, 16))
        out = out + pool.mlp(pool.norm(out))
        logits = net.head(net.fc_norm(out[:, 0]))
        score = logits.gather(1, TARGETS[:, None]).sum()
        total += torch.autograd.grad(score, weights)[0].relu().mean((1, 2)) / len(seen)
    assert torch.allclose(actual.flatten(1), total, rtol=1e-3, atol=1e-4 * total.max())


def test_legrad_equals_torch_cam_s():
    """On torchvision's networks: all blocks, logits, raw maps. Its own has no other score."""
    methods = pytest.importorskip("torchcam.methods", reason="torchcam needs Python 3.11")
    net, images, _ = example("torchvision")
    actual = made("legrad", net, images)
    with methods.LeGrad(net, list(net.encoder.layers)) as cam:
        expected = cam(TARGETS.tolist(), net(images), normalized=False)[0]
    assert torch.allclose(actual, expected, rtol=1e-4, atol=1e-6)


def others():
    """Further networks of the family: two class tokens, rotary positions, relative ones."""
    timm = pytest.importorskip("timm", reason="extra `timm` is not installed")
    models = timm.models
    size = {**SMALL, "num_classes": 5}
    distilled = models.deit.VisionTransformerDistilled(**size)
    rotary = models.eva.Eva(**size, use_rot_pos_emb=True, dynamic_img_size=True)
    beit = models.beit.Beit(**size, use_rel_pos_bias=True)
    sequential = of_timm()
    for block in sequential.blocks:
        block.attn.fused_attn = False
    return {"distilled": distilled, "rotary": rotary, "beit": beit, "not fused": sequential}


@pytest.mark.parametrize("name", ["distilled", "rotary", "beit", "not fused"])
def test_further_networks_are_served(name):
    torch.manual_seed(4)
    net = others()[name].eval()
    images = torch.randn(2, 3, 24 if name == "rotary" else 32, 32)
    shown = tapped(net, images)
    averaged = name in ("rotary", "beit")
    assert (shown.attention.start > 0).sum() == (images.shape[2] // 2 if averaged else 1)
    for method in METHODS:
        raw = maps.methods([method])[method](shown)
        assert raw.shape == (2, images.shape[2] // 8, 4)
        assert raw.isfinite().all()
        assert (raw >= 0).all()
        assert (raw.flatten(1).std(1) > 0).all()


def test_one_pass_for_all_methods_and_layers():
    net, images, _ = example("torchvision")
    net = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), net)
    layers, runs = [Layer("a", "0"), Layer("b", "1")], []
    for block in net[2].encoder.layers:
        block.mlp.register_forward_hook(lambda *_: runs.append("forward"))
        block.mlp[0].register_full_backward_hook(lambda *_: runs.append("backward"))
    maps.compute(net, images, TARGETS, layers, maps.methods(["gradcam"]))
    ordinary = sorted(runs)
    assert ordinary == ["backward"] * 2 + ["forward"] * 2
    for methods in (METHODS[:1], METHODS):
        runs.clear()
        maps.compute(net, images, TARGETS, layers, maps.methods(methods))
        assert runs.count("forward") == 2 + 2  # the tap's, the attention's


def test_gradient_maps_do_not_see_the_attention():
    """Bit for bit: the attention has a pass of its own."""
    net, images, _ = example("torchvision")
    layers = [Layer("x", "conv_proj")]
    alone, _ = maps.compute(net, images, TARGETS, layers, maps.methods(["gradcam", "layercam"]))
    with_attention, _ = maps.compute(
        net, images, TARGETS, layers, maps.methods([*METHODS, "gradcam", "layercam"])
    )
    for key, value in alone.items():
        assert torch.equal(value, with_attention[key])


def test_pairs_and_padding():
    """Several classes of an image are as each alone; rows that are padding stay empty."""
    net, images, _ = example("torchvision")
    asked = torch.tensor([[1, 3], [0, 1], [1, 0]])
    for method in METHODS:
        alone = [
            made(method, net, images, torch.tensor([1, 3])),
            made(method, net, images, torch.tensor([4, 0])),
        ]
        expected = torch.stack([alone[0][1], alone[0][0], alone[1][1]])
        assert torch.allclose(made(method, net, images, asked), expected, rtol=1e-4, atol=1e-7)
    cams = maps.methods(METHODS)
    layers = [Layer("x", "conv_proj")]
    raw, _ = maps.compute(net, images, TARGETS, layers, cams, rows=1)
    for method in METHODS:
        assert torch.allclose(raw[method, "x"][0], made(method, net, images)[0], atol=1e-6)
        assert not raw[method, "x"][1].any()
    none = tapped(net, images)[:0]
    assert all(cam(none).shape == (0, 4, 4) for cam in cams.values())


def test_a_neighbour_that_is_not_finite_changes_nothing():
    net, images, _ = example("torchvision")
    broken = images.clone()
    broken[1] = torch.nan
    for method in METHODS:
        assert torch.equal(made(method, net, broken)[0], made(method, net, images)[0])


class Unsteady(nn.Module):
    """Answers otherwise the second time."""

    def __init__(self):
        super().__init__()
        self.net, self.calls = example("torchvision")[0], 0

    def forward(self, images):
        self.calls += 1
        return self.net(images) + self.calls


class Skipping(nn.Module):
    """The head sees more than the last block's tokens."""

    def __init__(self):
        super().__init__()
        self.net = example("torchvision")[0]

    def forward(self, images):
        shallow = []
        hook = self.net.encoder.layers[0].register_forward_hook(
            lambda _m, _i, output: shallow.append(output.mean((1, 2)))
        )
        logits = self.net(images)
        hook.remove()
        return logits + shallow[0][:, None]


class Squeezing(nn.Module):
    """Convolutions beside the patches': an earlier one of as many places, a later one of one."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(4)
        self.net = of_timm(class_token=False, global_pool="avg")
        self.aside = nn.Conv2d(3, 1, (4, 16), (4, 16))
        self.net.patch_embed.norm = Squeeze()

    def forward(self, images):
        nothing = 0 * self.aside(images).sum()
        return self.net(images) + nothing


class Squeeze(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 1)

    def forward(self, tokens):
        return tokens * self.conv(tokens.mean(1)[..., None, None]).flatten(1)[:, None].sigmoid()


def test_the_grid_is_the_patches_convolution_s():
    net = Squeezing().eval()
    assert tapped(net, torch.randn(2, 3, 32, 32)).attention.grid == (4, 4)


def windows():
    size = {"patch_size": [4, 4], "embed_dim": 8, "depths": [2], "num_heads": [1]}
    return torchvision.models.SwinTransformer(**size, window_size=[4, 4], num_classes=5)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (
            lambda: torchvision.models.squeezenet1_1(num_classes=5),
            "SqueezeNet has no global .* no attention",
        ),
        (windows, r"SwinTransformer .* attends as \(8, 1, 16, 16\)"),
        (Unsteady, "Unsteady's logits are others when attending step by step: by 1 at most"),
        (Skipping, "Skipping's logits are others when its blocks are passed by"),
    ],
)
def test_networks_that_cannot_be_served_are_named(network, words):
    torch.manual_seed(0)
    net = network().eval()
    with pytest.raises(ValueError, match=words) as error:
        made("rollout", net, torch.randn(2, 3, 32, 32))
    assert "\n" not in str(error.value)
    assert_untouched(net)


def assert_untouched(net):
    for module in net.modules():
        assert "forward" not in vars(module)
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_the_network_is_left_as_it_was():
    net, images, _ = example("torchvision")
    net.train()
    net.heads.requires_grad_(False)
    asked = [p.requires_grad for p in net.parameters()]
    net.encoder.layers[0].forward = forward = net.encoder.layers[0].forward
    for method in METHODS:
        with torch.inference_mode():
            made(method, net, images)
    assert vars(net.encoder.layers[0]).pop("forward") is forward
    assert_untouched(net)
    assert all(module.training for module in net.modules())
    assert [p.requires_grad for p in net.parameters()] == asked
    assert all(p.grad is None for p in net.parameters())


Q, K, V = torch.randn(3, 2, 2, 5, 4, generator=torch.manual_seed(0))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scale": 0.7},
        {"attn_mask": torch.randn(5, 5, generator=torch.manual_seed(1))},
        {"attn_mask": torch.ones(5, 5).tril().bool()},
        {"dropout_p": 0.0},
    ],
)
def test_scaled_dot_products_are_what_they_were(options):
    expected = functional.scaled_dot_product_attention(Q, K, V, **options)
    with Weights() as attending:
        actual = functional.scaled_dot_product_attention(Q, K, V, **options)
    assert torch.allclose(actual, expected, atol=1e-6)
    [kept] = attending.kept
    assert torch.allclose(kept @ V, expected, atol=1e-6)
    assert torch.allclose(kept.sum(-1), torch.ones(2, 2, 5))


def test_causal_attention_keeps_its_own_function():
    expected = functional.scaled_dot_product_attention(Q, K, V, is_causal=True)
    with Weights() as attending:
        actual = functional.scaled_dot_product_attention(Q, K, V, is_causal=True)
    assert torch.equal(actual, expected)
    assert not attending.kept


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("needed", [{}, {"need_weights": False}, {"average_attn_weights": False}])
def test_multi_head_attention_is_what_it_was(batch_first, bias, needed):
    torch.manual_seed(0)
    module = nn.MultiheadAttention(8, 2, bias=bias, batch_first=batch_first).eval()
    query, key = torch.randn(3, 5, 8), torch.randn(3, 5, 8)
    expected = module(query, key, key, **needed)
    with Weights() as attending:
        actual = module(query, key, key, **needed)
    assert len(attending.kept) == 1
    for one, other in zip(actual, expected):
        assert (one is None and other is None) or torch.allclose(one, other, atol=1e-6)


def test_multi_head_attention_with_masks_or_extra_tokens_keeps_its_own_function():
    torch.manual_seed(0)
    x = torch.randn(3, 5, 8)
    mask = torch.zeros(3, 5).bool()
    mask[0, 2] = True
    cases = [
        (nn.MultiheadAttention(8, 2, batch_first=True), {"key_padding_mask": mask}),
        (nn.MultiheadAttention(8, 2, batch_first=True), {"attn_mask": torch.ones(5, 5).triu(1)}),
        (nn.MultiheadAttention(8, 2, batch_first=True, add_bias_kv=True), {}),
        (nn.MultiheadAttention(8, 2, batch_first=True, add_zero_attn=True), {}),
        (nn.MultiheadAttention(8, 2, batch_first=True, kdim=6, vdim=6), {}),
    ]
    for module, options in cases:
        key = x[..., :6] if module.kdim == 6 else x
        expected = module.eval()(x, key, key, **options)[0]
        with Weights() as attending:
            assert torch.allclose(module(x, key, key, **options)[0], expected, atol=1e-6)
        assert not attending.kept
