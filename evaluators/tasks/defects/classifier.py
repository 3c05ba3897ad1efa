"""Whether the classifier behind the maps tells defective images from good ones."""

import numpy as np
import pandas as pd
import torch

from camx.camcore import faults, passes, views
from camx.evaluators import records
from camx.evaluators.grading import probabilities
from camx.evaluators.loop import Measurement, Picture, made, stacked
from camx.evaluators.tasks.defects import Options, Protocol, trainer

NEAR_CHANCE = 0.6  # of a ROC-AUC, which is 0.5 without any knowledge
GOOD = 100  # good images asked at most


def auc(job: Measurement[Protocol, Options], frame: pd.DataFrame) -> float:
    """The ROC-AUC of the score on defective test images, recorded in `frame`, and good ones.

    At most `GOOD` good ones, and as many as there are defective, spread over the data set. NaN
    where there are none.
    """
    samples = [s for s in job.dataset.samples if s.split == "test" and s.label == 0]
    count = min(GOOD, len(frame), len(samples))
    if not count:
        return float("nan")
    places = np.linspace(0, len(samples) - 1, count).round().astype(int)
    network, view, good = job.plan.network, job.plan.view, []

    def answers(batch: list[Picture], padded: list[Picture]) -> torch.Tensor:
        images = stacked(padded).to(job.plan.device)
        with torch.no_grad():
            logits = passes.answer(network.module, network.prepare(views.cut(images, view)))
        summed = logits.unflatten(0, (-1, view.crops)).sum(1)[: len(batch)]
        faults.check({faults.LOGITS: summed})
        return summed

    for _, logits in made(job, [samples[place] for place in places], answers, lambda: None):
        good += [float(probabilities(row)[1]) for row in logits.cpu().numpy()]
    scores = np.array([*good, *frame["score"]])
    return trainer.auc(scores, np.repeat([0, 1], [len(good), len(frame)]))


def doubts(job: Measurement[Protocol, Options]) -> list[str]:
    """Say so when the network does not tell defective test images from good ones."""
    frame = records.read(job.out, [*records.KEY, "split", "score"]).drop_duplicates("image_id")
    frame = frame[frame["split"] == "test"]
    if frame.empty:
        return []
    area, recognised = auc(job, frame), 100 * float((frame["score"] > 0.5).mean())
    if recognised > 0 and not area < NEAR_CHANCE:
        return []
    what = f"the network recognises {recognised:.2f} % of the defective images"
    told = "" if area != area else f" (AUC {area:.2f})"
    nothing = "that learned nothing" if not area >= NEAR_CHANCE else "that calls every image good"
    return [f"{what}{told}: its maps are of a network {nothing}"]
