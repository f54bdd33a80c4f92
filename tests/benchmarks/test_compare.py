from __future__ import annotations

import json
import sys

import pytest

from tests.benchmarks import compare


def run(**medians):
    names = {"kd": compare.REFERENCE}
    entries = [
        {"name": names.get(name, name), "group": "methods", "stats": {"median": value}}
        for name, value in medians.items()
    ]
    entries.append({"name": "other", "group": "data", "stats": {"median": 1.0}})
    return {"benchmarks": entries, "machine_info": {"cpu": {"brand_raw": "cpu"}, "python_version": "3"}}


def test_ratios_do_not_depend_on_the_speed_of_the_machine():
    assert compare.ratios(run(kd=1.0, cwd=3.0)) == compare.ratios(run(kd=4.0, cwd=12.0)) == {"cwd": 3.0}


@pytest.mark.parametrize(("cwd", "code"), [(5.9, 0), (6.1, 1), (None, 1)])
def test_a_kernel_that_became_slower_or_vanished_fails(tmp_path, monkeypatch, capsys, cwd, code):
    first, second, stored = (tmp_path / name for name in ("first.json", "second.json", "stored.json"))
    first.write_text(json.dumps(run(kd=1.0, cwd=3.0)))
    second.write_text(json.dumps(run(kd=1.0, **({} if cwd is None else {"cwd": cwd}))))
    monkeypatch.setattr(sys, "argv", ["compare", str(first), str(stored), "--update"])
    compare.main()
    monkeypatch.setattr(sys, "argv", ["compare", str(second), str(stored)])
    with pytest.raises(SystemExit) as end:
        compare.main()
    assert end.value.code == code
    assert ("cwd" in capsys.readouterr().out) == bool(code)
