"""The report as Markdown, and the model-index block for a model card; both are Jinja2 templates."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.results import Evaluation, MethodResult

from .info import RunInfo
from .tables import distances, failures, refusals, shown_metrics, summary, table, warnings

if TYPE_CHECKING:
    import jinja2


def markdown(evaluation: Evaluation, info: RunInfo) -> str:
    """The whole report; its part above `## Figures` is what the command prints."""
    return render(
        "report.md.j2",
        methods=evaluation.methods,
        warnings=warnings(evaluation, info),
        summary=summary(evaluation, info),
        table=table(evaluation, info),
        failures={method.name: found for method in evaluation.methods if (found := failures(method))},
        refusals={method.name: found for method in evaluation.methods if (found := refusals(method))},
        info=info,
    )


def model_index(evaluation: Evaluation, info: RunInfo, model: str = "reliableswap") -> str:
    """The YAML block `model-index` for the front matter of a model card, without the controls."""
    methods = {
        method.name: _card_metrics(evaluation, info, method)
        for method in evaluation.methods
        if not method.control
    }
    return render("model-index.yaml.j2", model=model, methods=methods, info=info)


def _card_metrics(evaluation: Evaluation, info: RunInfo, method: MethodResult) -> list[dict[str, str]]:
    """Type, name and value of each metric of a method."""
    found = []
    for metric in shown_metrics(evaluation):
        if estimate := method.estimates.get(metric.key):
            unit = f" ({metric.unit})" if metric.unit else ""
            value = metric.show(estimate.value)
            found.append({"type": metric.key, "name": metric.label + unit, "value": value})
    for distance in distances(evaluation, info):
        number = distance.value(method)
        if number is not None:
            found.append({"type": distance.key, "name": distance.title, "value": f"{number:.4f}"})
    return found


def render(template: str, **values: Any) -> str:
    """Fill in a template of this package; HTML templates escape the values."""
    return environment().get_template(template).render(**values)


def environment() -> jinja2.Environment:
    """The Jinja2 environment of the report's templates."""
    try:
        import jinja2
    except ImportError as error:
        raise ReliableSwapError("reports need Jinja2; run: pip install 'reliableswap[judge]'") from error
    loaded = jinja2.Environment(
        loader=jinja2.PackageLoader("reliableswap.evaluation.report"),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # A JSON string is also a YAML string.
    loaded.filters["quote"] = lambda text: json.dumps(text, ensure_ascii=False)
    return loaded
