"""The order and the templates by which the host chooses a function."""

from __future__ import annotations

import pytest

from devtools.host.routes import (
    LoadError,
    Match,
    Route,
    RouteTable,
    ambiguities,
    in_host_order,
    is_function_name,
    is_reserved,
    join_prefix,
)


def table(**templates: str) -> RouteTable:
    """GET routes by function name."""
    return RouteTable(Route(name, template, frozenset({"GET"})) for name, template in templates.items())


def test_the_first_function_name_in_the_alphabet_wins() -> None:
    routes = table(b_literal="v1/models", a_catch="{*path}")
    assert routes.match("GET", "/v1/models") == Match("a_catch", {"path": "v1/models"})


def test_names_are_compared_in_upper_case() -> None:
    routes = [Route("b", "x"), Route("A", "y"), Route("C", "z")]
    assert [route.name for route in in_host_order(routes)] == ["A", "b", "C"]


def test_an_underscore_comes_after_the_letters() -> None:
    routes = [Route("a_b", "x"), Route("az", "y")]
    assert [route.name for route in in_host_order(routes)] == ["az", "a_b"]


def test_another_method_falls_through_to_the_next_route() -> None:
    routes = RouteTable([Route("a", "v1/x", frozenset({"GET"})), Route("b", "{*path}", frozenset({"POST"}))])
    assert routes.match("POST", "/v1/x") == Match("b", {"path": "v1/x"})


def test_no_route_takes_an_unlisted_method() -> None:
    assert table(a="v1/x").match("HEAD", "/v1/x") is None


def test_a_route_without_methods_takes_all() -> None:
    assert RouteTable([Route("a", "v1/x")]).match("PROPFIND", "/v1/x") == Match("a", {})


def test_a_parameter_is_one_segment() -> None:
    assert table(a="v1/{x}/y").match("GET", "/v1/Value/y") == Match("a", {"x": "Value"})


@pytest.mark.parametrize("path", ["/v1//y", "/v1/a/b/y", "/v1/y"])
def test_a_parameter_is_never_empty_and_never_two_segments(path: str) -> None:
    assert table(a="v1/{x}/y").match("GET", path) is None


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        ("/v1/models", ""),
        ("/v1/models/", ""),
        ("/v1/models/a", "a"),
        ("/v1/models/a/b", "a/b"),
        ("/v1/models/a/", "a/"),
    ],
)
def test_a_catch_all_takes_any_rest_even_none(path: str, rest: str) -> None:
    assert table(a="v1/models/{*id}").match("GET", path) == Match("a", {"id": rest})


def test_a_catch_all_needs_a_whole_segment_before_it() -> None:
    assert table(a="v1/models/{*id}").match("GET", "/v1/models2") is None


@pytest.mark.parametrize(("path", "rest"), [("/", ""), ("/x", "x"), ("//x", "/x"), ("/a b\nc", "a b\nc")])
def test_a_catch_all_at_the_root_takes_everything(path: str, rest: str) -> None:
    assert table(a="{*path}").match("GET", path) == Match("a", {"path": rest})


@pytest.mark.parametrize(("path", "value"), [("/v1/x", ""), ("/v1/x/7", "7")])
def test_an_optional_parameter_may_be_missing(path: str, value: str) -> None:
    assert table(a="v1/x/{id?}").match("GET", path) == Match("a", {"id": value})


def test_literals_match_in_any_case() -> None:
    assert table(a="v1/Models/{id}").match("GET", "/V1/mODELS/GPT") == Match("a", {"id": "GPT"})


def test_one_trailing_slash_is_ignored() -> None:
    assert table(a="v1/models").match("GET", "/v1/models/") == Match("a", {})


@pytest.mark.parametrize("path", ["/v1/models//", "//v1/models", "/v1//models", "/v1/models/x", "/v1/modelsx"])
def test_a_literal_path_takes_nothing_else(path: str) -> None:
    assert table(a="v1/models").match("GET", path) is None


def test_the_dot_of_a_literal_is_only_a_dot() -> None:
    assert table(a="openapi.json").match("GET", "/openapiXjson") is None


def test_the_same_route_with_shared_methods_is_a_load_error_of_the_second() -> None:
    routes = table(b="v1/x", a="V1/X")
    assert routes.rejected == [("b", "the route 'v1/x' conflicts with that of function 'a'")]


def test_the_same_route_with_other_methods_is_fine() -> None:
    routes = RouteTable([Route("a", "v1/x", frozenset({"GET"})), Route("b", "v1/x", frozenset({"POST"}))])
    assert (routes.rejected, routes.match("POST", "/v1/x")) == ([], Match("b", {}))


def test_a_route_without_methods_conflicts_with_any() -> None:
    routes = RouteTable([Route("a", "v1/x"), Route("b", "v1/x", frozenset({"POST"}))])
    assert [name for name, _ in routes.rejected] == ["b"]


def test_other_parameter_names_are_another_route_to_the_host() -> None:
    assert table(a="v1/{x}", b="v1/{y}").rejected == []


def test_names_that_differ_only_in_case_are_one_name() -> None:
    routes = RouteTable([Route("same", "a"), Route("SAME", "b")])
    assert [reason for _, reason in routes.rejected] == ["another function has the same name"]


@pytest.mark.parametrize("name", ["1a", "_a", "a.b", "", "host", "HOST", "a" * 129, "a b"])
def test_a_bad_function_name_is_refused(name: str) -> None:
    assert not is_function_name(name)


@pytest.mark.parametrize("name", ["a", "Z9_-", "zz_aliases", "a" * 128, "hosts"])
def test_a_good_function_name_is_taken(name: str) -> None:
    assert is_function_name(name)


@pytest.mark.parametrize("route", ["admin", "admin/x", "administration", "/Runtime/x", "runtimes"])
def test_a_reserved_beginning_is_refused_as_plain_text(route: str) -> None:
    assert is_reserved(route)


@pytest.mark.parametrize("route", ["v1/admin", "adm", "run"])
def test_a_reserved_word_elsewhere_is_fine(route: str) -> None:
    assert not is_reserved(route)


@pytest.mark.parametrize("template", ["{*x}/y", "{x?}/y", "a{x}", "{x:int}", "a//b", "{x", "{1}"])
def test_a_template_that_this_host_does_not_know_is_a_load_error(template: str) -> None:
    with pytest.raises(LoadError):
        Route("a", template)


@pytest.mark.parametrize(
    ("prefix", "route", "template"), [("", "/v1/x/", "v1/x"), ("api", "x", "api/x"), ("/api/", "x", "api/x")]
)
def test_the_prefix_of_host_json_comes_first(prefix: str, route: str, template: str) -> None:
    assert join_prefix(prefix, route) == template


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("v1/{x}", "v1/models"),
        ("v1/{x}", "v1/{y}"),
        ("v1/{*x}", "v1"),
        ("v1/{*x}", "v1/a/b"),
        ("v1/x/{id?}", "v1/x"),
        ("v1/x/{id?}", "v1/{y}"),
        ("v1/{a}/c", "v1/b/{d}"),
        ("V1/x", "v1/X"),
    ],
)
def test_two_templates_that_meet_are_ambiguous(one: str, other: str) -> None:
    routes = [Route("a", one), Route("b", other)]
    assert ambiguities(routes) == [(routes[0], routes[1])]


@pytest.mark.parametrize(
    ("one", "other"), [("v1/{x}", "v1/a/b"), ("v1/a", "v1/b"), ("v1/{x}/c", "v1/{x}/d"), ("v1/{x}", "v1"), ("a", "a/b")]
)
def test_two_templates_that_never_meet_are_not(one: str, other: str) -> None:
    assert ambiguities([Route("a", one), Route("b", other)]) == []


def test_other_methods_are_not_ambiguous() -> None:
    assert ambiguities([Route("a", "x", frozenset({"GET"})), Route("b", "x", frozenset({"PUT"}))]) == []


def test_the_catch_all_at_the_end_of_the_order_is_no_ambiguity() -> None:
    assert ambiguities([Route("zz", "{*path}"), Route("a", "v1/x")]) == []


def test_a_catch_all_before_the_end_is_one() -> None:
    assert len(ambiguities([Route("aa", "{*path}"), Route("b", "v1/x")])) == 1
