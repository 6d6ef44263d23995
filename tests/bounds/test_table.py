"""The table of all bounds: each row is the bound that it names."""

import math
from types import SimpleNamespace

from hopfield_theory.bounds import RandomMemory, mean_field, table

P = 1e-3
MEMORY = RandomMemory(8, 16.0)


def test_each_row_is_its_bound(monkeypatch):
    asked = {"all": 0.0, "typical": 0.5}
    searched = {
        "chernoff": lambda memory, p, of: (memory, p) == (MEMORY, P) and 3.0 + asked[of],
        "directional": lambda memory, p, of: (memory, p) == (MEMORY, P) and 10.0 + asked[of],
        "ceiling": lambda memory, p, of: (memory, p) == (MEMORY, P) and 7.0 + asked[of],
        "pair_witness": lambda memory, p: SimpleNamespace(log_patterns=(memory, p) == (MEMORY, P) and 6.0),
    }
    for name, bound in searched.items():
        monkeypatch.setattr(table, name, bound)
    monkeypatch.setattr(table.union, "published", lambda memory, p: (memory, p) == (MEMORY, P) and 1.0)
    monkeypatch.setattr(table.union, "pairwise", lambda memory, p: (memory, p) == (MEMORY, P) and 2.0)
    monkeypatch.setattr(table.union, "packing", lambda memory: memory == MEMORY and 8.0)
    monkeypatch.setattr(table.mean_field, "fold", lambda memory: SimpleNamespace(log_patterns=memory == MEMORY and 5.0))
    monkeypatch.setattr(table.finite_size, "law", lambda memory: SimpleNamespace(log_patterns=memory == MEMORY and 9.0))
    rows = {row.statement: row for row in table.capacity_table(MEMORY, P)}
    assert {name: row.log_patterns for name, row in rows.items()} == {
        **{f"C{number}": float(number) for number in (1, 2, 3, 5, 6, 8, 9, 10)},
        **{"C3 typical": 3.5, "C10 typical": 10.5, "C7": 7.5, "C4": float(mean_field.threshold(2.0)) * 8},
    }
    proved = [name for name, row in rows.items() if row.how == "proved"]
    assert proved == ["C2", "C3", "C10", "C6", "C3 typical", "C10 typical", "C7", "C4", "C8"]


def test_what_has_no_value_says_why(monkeypatch):
    for name in ("chernoff", "directional", "ceiling"):
        monkeypatch.setattr(table, name, lambda *_: math.inf)
    monkeypatch.setattr(table, "pair_witness", lambda *_: SimpleNamespace(log_patterns=1.0))
    monkeypatch.setattr(table.mean_field, "fold", lambda _: None)
    monkeypatch.setattr(table.finite_size, "law", lambda _: None)
    rows = {row.statement: row for row in table.capacity_table(MEMORY, P)}
    assert rows["C7"].meaning.startswith("no number is proved too many")
    assert [name for name, row in rows.items() if math.isnan(row.log_patterns)] == ["C5", "C9"]
    assert all(rows[name].meaning == table._ABSENT[name] for name in ("C5", "C9"))
