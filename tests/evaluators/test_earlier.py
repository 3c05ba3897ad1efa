"""Protocols of earlier runs count as what they were."""

from camx.evaluators import earlier, protocols, tasks
from camx.evaluators.records import plain


def test_what_occlusion_got_later_is_the_paper_s():
    task = tasks.load("occlude")
    protocol = plain(protocols.load("paper", "occlude", task.protocol))
    before = {key: value for key, value in protocol.items() if key not in earlier.LATER}
    assert len(before) == len(protocol) - 2
    assert earlier.completed(before) == protocol
    changed = {**before, "explained": "label"}
    assert earlier.completed(changed)["explained"] == "label"


def test_others_get_what_maps_got():
    task = tasks.load("localize")
    protocol = plain(protocols.load("paper", "localize", task.protocol))
    before = {k: v for k, v in protocol.items() if k not in ("precision", "channels_last")}
    assert earlier.completed(before) == protocol
    assert earlier.completed({"name": "paper"}) == {"name": "paper"}
    assert earlier.completed(None) is None
