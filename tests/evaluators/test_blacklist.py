from camx.evaluators import blacklist


def test_what_is_left_out_is_kept_and_may_change(tmp_path):
    assert blacklist.left_out(tmp_path) == []
    blacklist.leave_out(tmp_path, ["b", "a c"])
    assert blacklist.left_out(tmp_path) == ["b", "a c"]
    blacklist.leave_out(tmp_path, [])
    assert blacklist.left_out(tmp_path) == []
    assert not (tmp_path / blacklist.FILE).exists()
