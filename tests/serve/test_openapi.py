"""What /openapi.json says is what the server does, for requests that somebody else makes up."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from unheard.bundle.runtime import Bundle
from unheard.serve import schemas
from unheard.serve.app import create_app
from unheard.serve.keys import Keys
from unheard.serve.limits import Limits

EXAMPLES = 6
#: A schema cannot say which bytes are a recording, and a form of one file is a form of several with one.
NOT_OF_FORMS = [positive_data_acceptance, negative_data_rejection]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "key"), [(GenerationMode.POSITIVE, ""), (GenerationMode.NEGATIVE, "a-key-of-twenty-signs")]
)
def test_made_up_requests_find_nothing(bundle: Bundle, mode: GenerationMode, key: str) -> None:
    app = create_app(bundle, Limits(seconds=60.0), Keys([key] if key else ()))
    headers = {"Authorization": f"Bearer {key}"} if key else None
    operations = [
        found.ok() for found in schemathesis.openapi.from_asgi("/openapi.json", app).get_all_operations()
    ]
    assert len(operations) == 11
    if mode is GenerationMode.NEGATIVE:  # without parameters there is nothing to get wrong
        operations = [each for each in operations if each.body or each.query or each.path_parameters]
        assert len(operations) == 6
    for operation in operations:
        make_up(operation, mode, headers)


def make_up(operation: Any, mode: GenerationMode, headers: dict[str, str] | None) -> None:
    excluded = NOT_OF_FORMS if operation.body else []

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        case.call_and_validate(headers=headers, excluded_checks=excluded)

    ask()


def test_the_examples_fit_their_schemas() -> None:
    models = [each for each in vars(schemas).values() if isinstance(each, type)]
    examples = [
        (model, example)
        for model in models
        for example in (getattr(model, "model_config", None) or {})
        .get("json_schema_extra", {})
        .get("examples", ())
    ]
    assert len(examples) >= 6
    for model, example in examples:
        model.model_validate(example)
