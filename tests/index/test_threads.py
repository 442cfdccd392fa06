"""Work beside other work: in order, few at a time, and none for nobody."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from omokage.index.threads import each
from omokage.index.turns import in_turn


def test_results_come_in_order_and_few_are_in_hand() -> None:
    taken: list[int] = []

    def items():
        for number in range(40):
            taken.append(number)
            yield number

    with ThreadPoolExecutor(4) as pool:
        for got, (result, number) in enumerate(in_turn(pool, lambda n: (n * n, n), items(), 6)):
            assert (result, number) == (got * got, got)
            assert len(taken) <= got + 6
    assert len(taken) == 40


def test_what_nobody_waits_for_is_not_begun() -> None:
    hold, begun = threading.Event(), []

    def work(number: int) -> int:
        begun.append(number)
        if number == 1:
            hold.wait(20)
        return number

    with ThreadPoolExecutor(1) as pool:
        results = in_turn(pool, work, range(40), 4)
        assert next(results) == 0
        results.close()  # type: ignore[attr-defined]
        hold.set()
    assert set(begun) <= {0, 1}


def test_a_mistake_comes_out_where_its_result_would() -> None:
    found = []
    with pytest.raises(ZeroDivisionError):
        for value in each(lambda n: 6 // n, [3, 2, 0, 1], threads=2):
            found.append(value)
    assert found == [2, 3]
