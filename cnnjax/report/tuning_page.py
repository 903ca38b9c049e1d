"""The page of a tuning run: how each learning rate validated, and which each arm is to have."""

from pathlib import Path

from cnnjax.report.findings import over, setting
from cnnjax.report.page import Block, Code, Heading, Paragraph
from cnnjax.report.run_page import write_page
from cnnjax.report.table import MISSING, Table, format_summary, listed, over_seeds
from cnnjax.run.learning_rates import by_arm, chosen_rates, rate_factors
from cnnjax.run.record import Record


def write_tuning_page(record: Record, doc: str | None) -> Path:
    """Write results.json and the page of the run of `train.tuning.tune`; the path of the page.

    Args:
      record: of the run.
      doc: docstring of the study.

    Raises:
      InputError: every learning rate of an arm diverged.
    """
    found = record.observations()
    chosen, arms = chosen_rates(found), by_arm(found)
    rates = sorted({rate for group in arms.values() for rate in group})
    ends = [arm for arm, rate in chosen.items() if rate in (min(arms[arm]), max(arms[arm]))]
    factors = rate_factors(chosen, record.config["train"]["learning_rate"])
    images = listed(f"{facts['validation_examples']:,}" for facts in record.tasks.values())
    record.results(
        {
            **(record.task if len(record.tasks) == 1 else {"tasks": record.tasks}),
            "learning_rates": chosen,
            "rate_factors": factors,
            "rows": found.results(),
        }
    )

    def score(arm: str, rate: float) -> str:
        if rate not in arms[arm]:
            return ""
        summary = over(arms[arm][rate], "accuracy")
        if summary is None or summary.n < len(found.seeds):
            return MISSING
        return format_summary(summary, 100)

    blocks: list[Block | str] = [
        f"Learning rate of each arm: {listed(f'{arm} {rate:g}' for arm, rate in chosen.items())}.",
        setting(record, found),
        Heading("Accuracy on validation images"),
        Table(
            ["arm", *(f"{rate:g}" for rate in rates), "chosen"],
            [
                [arm, *(score(arm, rate) for rate in rates), f"{rate_of_arm:g}"]
                for arm, rate_of_arm in chosen.items()
            ],
            caption="Accuracy (%) by learning rate on "
            f"{images} validation images, {MISSING} where training diverged, empty where it was "
            f"not tried; {over_seeds(len(found.seeds))} ({listed(found.seeds)}), which the study "
            "does not have. The highest mean is chosen, of equal ones that of the lowest loss.",
        ),
    ]
    if ends and len(rates) > 1:
        blocks.append(
            Paragraph(
                f"At an end of the list, beyond which a rate may be better still: {listed(ends)}."
            )
        )
    lines = [f'    "{arm}": {factor:g},' for arm, factor in factors.items()]
    blocks += [
        Heading("For the configuration"),
        Code("\n".join(["rate_factors={", *lines, "}"])),
    ]
    return write_page(record, doc, blocks)
