"""What is shown of a run, and how its speed is measured."""

import io

import rich.console

from cnnjax.train.progress import Progress, Throughput


def test_throughput_leaves_out_compilation_and_pauses(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    throughput = Throughput(batch_size=10)
    speeds = []
    for seconds in (100.0, 2.0, 3.0):  # the first step compiles
        now[0] += seconds
        throughput.step()
        speeds.append(throughput.images_per_second)
        with throughput.pause():
            now[0] += 50.0
    assert speeds == [None, 5.0, 4.0]
    assert throughput.images_per_second == 4.0


def test_progress_is_plain_lines_off_a_terminal_and_one_line_on_it():
    def shown(terminal, quiet=False):
        text = io.StringIO()
        console = rich.console.Console(file=text, force_terminal=terminal, width=120)
        with Progress(5, 10, 2, quiet=quiet, console=console) as progress:
            for step in range(1, 6):
                progress.step(step, 0.5, 0.25, None if step == 1 else 20.0)
            progress.line("evaluated")
        return text.getvalue()

    assert shown(terminal=False) == (
        "step 2/5  loss 0.5000  accuracy 0.250  20 images/s  0:00:02 left\n"
        "step 4/5  loss 0.5000  accuracy 0.250  20 images/s  0:00:00 left\n"
        "step 5/5  loss 0.5000  accuracy 0.250  20 images/s  0:00:00 left\n"
        "evaluated\n"
    )
    assert "step 5/5  loss 0.5000" in shown(terminal=True)
    assert "\x1b[" in shown(terminal=True)
    assert shown(terminal=False, quiet=True) == shown(terminal=True, quiet=True) == ""
