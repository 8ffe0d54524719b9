"""Every way of feeding slices gives the same batches; draws of a part are a part of the draws."""

from __future__ import annotations

import pytest
import torch
from pivm.learning.batches import Batches
from pivm.learning.feed import Draws, Feed

CPU = torch.device("cpu")


class Numbers:
    """Row k holds k."""

    def __len__(self) -> int:
        return 10

    def batch(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return rows.to(torch.int16)[:, None].expand(-1, 3).clone(), rows % 2 == 0


@pytest.mark.parametrize("way", ["direct", "resident", "ahead"])
@pytest.mark.parametrize("part", [slice(None), slice(2, 4)])
def test_every_way_gives_the_rows_of_the_step(way, part):
    batches = Batches(10, 4, seed=3)
    feed = Feed(Numbers(), batches, part, steps=9, device=CPU, way=way)
    for step in range(5, 9):  # as after a resume
        values, even = feed.at(step)
        rows = batches.at(step)[part]
        assert values.dtype == torch.int16
        assert values.tolist() == [[int(r)] * 3 for r in rows]
        assert even.tolist() == [int(r) % 2 == 0 for r in rows]


def test_a_cpu_reads_directly():
    assert Feed(Numbers(), Batches(10, 4, 0), slice(None), 2, CPU).way == "direct"


@pytest.mark.parametrize(("free", "way"), [(159, "ahead"), (160, "resident")])
def test_slices_stay_on_a_gpu_that_has_twice_the_room(monkeypatch, free, way):
    """Ten slices of 3 int16 and 1 bool, 7 bytes each: 70 bytes; 0.4375 of 160 and 0.44 of 159."""
    from pivm.learning import feed

    monkeypatch.setattr(feed, "RESIDENT_SHARE", 70 / 160)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 1000))
    assert feed._best_way(Numbers(), torch.device("cuda")) == way


def test_two_parts_of_the_draws_make_the_whole():
    whole, low, high = (Draws(4, part, CPU, 7, "step", 3) for part in (slice(None), slice(0, 2), slice(2, 4)))
    for draw in (lambda d: d.integers(1000), lambda d: d.normal(1, 5), lambda d: d.uniform()):
        assert torch.equal(draw(whole), torch.cat([draw(low), draw(high)]))
    assert whole.coin() == low.coin() == high.coin()


def test_draws_of_another_step_differ():
    one, other = (Draws(4, slice(None), CPU, 7, "step", i) for i in (1, 2))
    assert not torch.equal(one.normal(3), other.normal(3))
    assert one.coin() != other.coin()
