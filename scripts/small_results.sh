#!/usr/bin/env bash
# Every command on the miniature, few images, both protocols, trainings of a few steps: the tree that
# scripts/same_records.py compares before and after a change that must move no number.
#
#     bash scripts/small_results.sh FOLDER          # CAMX=... names another camx
set -euo pipefail
mkdir -p "$1" && cd "$1"
camx() { ${CAMX:-camx} "$@"; }
run() { echo "== camx $*" && camx "$@" >>log.txt; }

run localize --limit 24 --save-maps --out results/localize
run localize --protocol single --limit 40 --out results/localize-single
run localize --protocol single --sample 4 --method scorecam --method scorecam-channel --method layercam \
    --layer S5 --layer S5+S4 --out results/localize-scorecam
run localize --table V --limit 3 --out results/localize-v
run localize --as pytorch-grad-cam --limit 6 --out results/localize-pgc
run localize --as torch-cam --method gradcampp --method scorecam --layer S5 --limit 3 --out results/localize-tc
run localize --model mini-vgg --limit 12 --protocol single --set box=contour --set iou=exact --set interpolation=linear \
    --set threshold=0.25 --set normalisation=minmax --set 'grabcut=[S3]' --method layercam --layer S3 \
    --layer S1+S3 --variant gamma=3 --variant scale=tan --out results/localize-set
RESNET="--model mini-resnet --weights ${WEIGHTS:?the folder configs/weights}/mini-resnet.safetensors --limit 12"
run localize $RESNET --method cam --layer layer4 --out results/localize-cam
run localize $RESNET --method gradcam --layer layer4 --layer 'layer3[-2]' --set preprocessing=model --set gradient=own \
    --out results/localize-resnet
run occlude --limit 24 --out results/occlude
run occlude --protocol single --limit 24 --area 0.1 --area 0.3 --random --fill black --score mean --out results/occlude-area
run occlude --protocol single --sample 4 --metric deletion --random --out results/occlude-curves
run occlude --protocol single --sample 4 --metric insertion --start mean --out results/occlude-insertion
run defects --limit 30 --threshold-split train --iterations 0 --sheet results/sheet.png --out results/defects
run defects --limit 10 --split 100/40 --seed 3 --thresholds 20 --layer layer3 --layer 'layer3[-2]' --layer layer4+layer3 \
    --iterations 0 --out results/defects-split
run pseudo --limit 20 --out results/pseudo
run pseudo --table X --limit 8 --superpixels none --flip --scale 0.75 --scale 1 --out results/pseudo-x
ls "${VOC:?the miniature folder voc}/VOC2012/JPEGImages" | head -40 | awk '{print $1, NR-1}' >input_list.txt
run pseudo --limit 6 --method layercam --layer S4 --threshold 0.2 --export dgcn-cues --input-list input_list.txt \
    --out results/pseudo-cues
run train defects --init none --epochs 1 --lr 0.02 --momentum 0.8 --weight-decay 0.001 --batch-size 64 --flip \
    --balance sample --validation 0.2 --out results/train-defects
run train defects --epochs 2 --init none --decay-at 1 --decay 0.5 --batch-size 100 --balance loss --out results/train-defects-loss
run train voc --epochs 1 --batch-size 25 --decay-at 0.5 --out results/train-voc
run segment train --labels results/pseudo/labels/layercam_S4 --iterations 4 --out results/segment/train
run segment train --labels results/pseudo/labels/layercam_S4 --iterations 2 --init none --crop 65 --scale 1 --no-mirror \
    --momentum 0.5 --out results/segment/train-none
run segment predict --weights results/segment/train/last.safetensors --limit 12 --crf --archive results/masks.tgz \
    --out results/segment/predict
run segment evaluate --masks results/segment/predict/masks --limit 12 --out results/segment/evaluate
run segment evaluate --masks results/segment/predict/masks-crf --crf --limit 12 --out results/segment/evaluate
run defects --weights results/train-defects/last.safetensors --limit 6 --iterations 0 --out results/defects-trained
run pseudo --weights results/train-voc/last.safetensors --limit 6 --layer S4 --out results/pseudo-trained
run explain --method layercam --method gradcam --out results/explain
run tables --out results/tables
run tables --compare layercam gradcam --out results/compare
run tables --pairs --out results/pairs
run claims --out results/claims
run rank --draws 200 --out results/rank
