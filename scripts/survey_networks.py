"""What camx finds in networks of torchvision and timm, as the table of docs/networks.md.

python scripts/survey_networks.py                       the networks of the table
python scripts/survey_networks.py timm:resnet50 ...     others
"""

import sys

from camx.camcore import anatomy

NETWORKS = (
    "torchvision:alexnet", "torchvision:convnext_tiny", "torchvision:densenet121",
    "torchvision:efficientnet_b0", "torchvision:efficientnet_v2_s", "torchvision:googlenet",
    "torchvision:inception_v3", "torchvision:maxvit_t", "torchvision:mnasnet1_0",
    "torchvision:mobilenet_v2", "torchvision:mobilenet_v3_large", "torchvision:regnet_y_400mf",
    "torchvision:resnet50", "torchvision:resnext50_32x4d", "torchvision:shufflenet_v2_x1_0",
    "torchvision:squeezenet1_0", "torchvision:swin_t", "torchvision:swin_v2_t",
    "torchvision:vgg16", "torchvision:vgg16_bn", "torchvision:vit_b_16",
    "torchvision:wide_resnet50_2", "timm:beit_base_patch16_224", "timm:caformer_s18",
    "timm:cait_xxs24_224", "timm:coatnet_0_rw_224", "timm:convnext_tiny", "timm:convnextv2_tiny",
    "timm:davit_tiny", "timm:deit_tiny_distilled_patch16_224", "timm:densenet121",
    "timm:dla34", "timm:edgenext_small", "timm:efficientformer_l1", "timm:efficientnet_b0",
    "timm:efficientnet_lite0", "timm:eva02_tiny_patch14_224", "timm:fastvit_t8",
    "timm:focalnet_tiny_srf", "timm:ghostnet_100", "timm:hiera_tiny_224", "timm:hrnet_w18_small",
    "timm:inception_next_tiny", "timm:inception_v4", "timm:levit_128s", "timm:maxvit_tiny_tf_224",
    "timm:mixer_s16_224", "timm:mobilenetv3_large_100", "timm:mobilenetv4_conv_small",
    "timm:mobilevit_s", "timm:mvitv2_tiny", "timm:nest_tiny", "timm:nfnet_f0",
    "timm:poolformer_s12", "timm:pvt_v2_b0", "timm:regnety_002", "timm:repvgg_a0",
    "timm:resnet50", "timm:resnetv2_50", "timm:rexnet_100", "timm:swin_tiny_patch4_window7_224",
    "timm:tiny_vit_5m_224", "timm:vgg16", "timm:visformer_tiny", "timm:vit_base_patch16_siglip_224",
    "timm:vit_small_patch14_reg4_dinov2", "timm:vit_tiny_patch16_224", "timm:xception41",
    "timm:xcit_nano_12_p16_224",
)  # fmt: skip


def line(name: str) -> str:
    """A row of the table: the network, its layers by name, their layout and the values' signs."""
    network = anatomy.of(name)
    layers = [f"{key} `{layer.activation}`" for key, layer in network.layers.items()]
    places = [place for place in network.places.values() if place]
    layouts = dict.fromkeys(str(place.layout) for place in places)
    signs = dict.fromkeys(place.sign for place in places)
    return f"| {name} | {', '.join(layers)} | {'; '.join(layouts)} | {', '.join(signs)} |"


def main() -> None:
    print("| network | layers | layout | values |\n|---|---|---|---|")
    for name in sys.argv[1:] or NETWORKS:
        try:
            print(line(name), flush=True)
        except ValueError as error:
            print(f"| {name} | {error} | | |", flush=True)


if __name__ == "__main__":
    main()
