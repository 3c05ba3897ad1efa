import numpy as np
import pytest

from camx.evaluators import records, stats, tasks
from camx.evaluators.results import compare
from camx.evaluators.tasks.localize import Record


def test_two_methods_on_the_images_both_have(tmp_path):
    rng = np.random.default_rng(0)
    ious = {"a": rng.random(40), "b": rng.random(30) * 0.8}
    with records.Writer(tmp_path / "records") as writer:
        for i in range(40):
            top5 = (1, 2, 3, 4, 5) if i % 2 else (2, 1, 3, 4, 5)
            writer.add(
                [
                    Record(f"{i:02}", 1, top5, m, "S5", "", 0, 0, 1, 1, float(v[i]), False)
                    for m, v in ious.items()
                    if i < len(v)
                ]
            )
    frame = compare.compare(tmp_path, "a", "b", tasks.load("localize"))
    assert frame["metric"].tolist() == ["loc1", "loc5", "gtknown", "mean IoU"]
    row = frame[frame["metric"] == "gtknown"].iloc[0]
    expected = stats.mcnemar(ious["a"][:30] >= 0.5, ious["b"] >= 0.5)
    assert (row["n"], row["p_value"], row["difference"]) == (
        30,
        expected.p_value,
        expected.difference,
    )
    odd = np.arange(30) % 2 == 1
    assert frame.iloc[0]["a_value"] == pytest.approx(100 * np.mean((ious["a"][:30] >= 0.5) & odd))
    assert frame.iloc[3]["difference"] == pytest.approx(100 * (ious["a"][:30] - ious["b"]).mean())
    assert len(compare.compare(tmp_path, "a", "nothing", tasks.load("localize"))) == 0
