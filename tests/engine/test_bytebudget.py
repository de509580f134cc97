"""Memory is shared out."""

import threading

from cleanplate.engine.bytebudget import ByteBudget


def test_memory_is_shared_out():
    budget, at_once, most = ByteBudget(100), 0, 0
    lock = threading.Lock()

    def work():
        nonlocal at_once, most
        with budget.held(60):
            with lock:
                at_once += 1
                most = max(most, at_once)
            with lock:
                at_once -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == 1
    with budget.held(1000):
        pass
