"""The description is true: schemathesis asks what it allows and what it forbids."""

from __future__ import annotations

import pytest

pytest.importorskip("schemathesis")

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi import checks as openapi_checks
from tests.risky import LenderShare, payments

from ethogram.serve.app import build
from ethogram.serve.keys import Keyring
from ethogram.serve.opening import open_store
from ethogram.serve.service import Service
from ethogram.serve.shelf import Shelf

OPERATIONS = (
    ("POST", "/v1/events"),
    ("POST", "/v1/rank"),
    ("POST", "/v1/recommend"),
    ("POST", "/v1/assess"),
    ("GET", "/v1/users/{user_id}"),
    ("DELETE", "/v1/users/{user_id}"),
    ("GET", "/v1/models"),
    ("POST", "/v1/models/{name}/activate"),
    ("POST", "/v1/models/{name}/rollback"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
)
KEY = "the key of this test"


def refuses_what_it_forbids(context, response, case):
    """Schemathesis does not count 413 as a refusal."""
    return None if response.status_code == 413 else openapi_checks.negative_data_rejection(context, response, case)


CHECKS = (
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
    refuses_what_it_forbids,
    openapi_checks.unsupported_method,
    openapi_checks.ignored_auth,
)
"""All but `positive_data_acceptance`: a well-formed event of tomorrow is refused, which a schema cannot say."""


@pytest.fixture(scope="module")
def described(fitted, tmp_path_factory):
    store = open_store(f"lmdb:{tmp_path_factory.mktemp('openapi')}/state")
    credit = tmp_path_factory.mktemp("credit") / "model"
    LenderShare().fit(payments(100)).save(credit)
    shelf = Shelf(store, {"rank": fitted / "rank", "find": fitted / "find", "credit": credit})
    app = build(Service(store, shelf), Keyring(None, KEY))
    yield schemathesis.openapi.from_asgi("/openapi.json", app)
    store.close()


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda m: m.value)
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_the_service_keeps_to_its_description(described, method, path, mode):
    operation = described[path][method]
    if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query or operation.path_parameters):
        return  # nothing can be wrong with it

    @settings(max_examples=12, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy(generation_mode=mode))
    def keeps(case):
        case.call_and_validate(checks=CHECKS, headers={"Authorization": f"Bearer {KEY}"})

    keeps()


def test_nothing_is_left_out(described):
    assert {(o.ok().method.upper(), o.ok().path) for o in described.get_all_operations()} == set(OPERATIONS)
