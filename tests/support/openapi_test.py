#!/usr/bin/env python3
"""The checker of OpenAPI documents says no where it must."""

import copy
import unittest

from openapi import Contract, Wrong

DOCUMENT = {
    "paths": {"/things/{id}": {"get": {"responses": {
        "200": {"headers": {"Age": {"required": True, "schema": {"type": "string", "pattern": "^[0-9]+$"}}},
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}},
        "304": {"description": "the same"}}}}},
    "components": {"schemas": {"Thing": {
        "type": "object", "additionalProperties": False, "required": ["count"],
        "properties": {"count": {"type": "integer", "minimum": 1}, "name": {"type": "string", "maxLength": 3}}}}},
}
HEADERS = {"content-type": "application/json", "age": "7", "date": "today"}


class OpenApi(unittest.TestCase):
    def setUp(self):
        self.contract = Contract(copy.deepcopy(DOCUMENT))

    def answer(self, body=b'{"count": 1}', status=200, path="/things/7?x=1", **headers):
        merged = {**HEADERS, **{name.replace("_", "-"): value for name, value in headers.items()}}
        self.contract.answer("GET", path, status, {name: value for name, value in merged.items() if value is not None}, body)

    def test_takes_what_was_promised_and_tells_what_nobody_has_seen(self):
        self.answer()
        self.assertEqual(self.contract.unseen(),
                         ["('GET', '/things/{id}', 200, 'application/json', 'property name')", "('GET', '/things/{id}', 304)"])
        self.answer(b'{"count": 2, "name": "abc"}')
        self.answer(b"", 304, age=None)
        self.assertEqual(self.contract.unseen(), [])

    def test_refuses_everything_else(self):
        wrong = {
            "status": dict(status=500), "path": dict(path="/others"), "deeper path": dict(path="/things/7/8"),
            "header missing": dict(age=None), "header wrong": dict(age="soon"), "header unknown": dict(x_more="1"),
            "type of content": dict(content_type="text/plain"), "required": dict(body=b"{}"),
            "minimum": dict(body=b'{"count": 0}'), "type": dict(body=b'{"count": "1"}'), "bool": dict(body=b'{"count": true}'),
            "length": dict(body=b'{"count": 1, "name": "abcd"}'), "unknown property": dict(body=b'{"count": 1, "more": 1}'),
            "body of none": dict(status=304, age=None, body=b"x"),
        }
        for name, arguments in wrong.items():
            with self.subTest(name), self.assertRaises(Wrong):
                self.answer(**arguments)

    def test_tells_what_a_header_may_say_and_never_said(self):
        document = copy.deepcopy(DOCUMENT)
        answers = document["paths"]["/things/{id}"]["get"]["responses"]
        answers["200"]["headers"]["Tier"] = {"schema": {"type": "string", "enum": ["near", "far"]}}
        self.contract = Contract(document)
        self.answer(b'{"count": 2, "name": "abc"}', tier="near")
        self.answer(b"", 304, age=None)
        self.assertEqual(self.contract.unseen(), ["('header', 'Tier', 'far')"])
        with self.assertRaises(Wrong):
            self.answer(tier="elsewhere")

    def test_a_boolean_is_no_number_and_no_text(self):
        self.contract.document["components"]["schemas"]["Thing"]["properties"]["name"] = {"type": "boolean"}
        self.answer(b'{"count": 1, "name": false}')
        for name in (b'"false"', b"0", b"null"):
            with self.assertRaises(Wrong):
                self.answer(b'{"count": 1, "name": ' + name + b"}")

    def test_refuses_a_keyword_that_it_does_not_know(self):
        self.contract.document["components"]["schemas"]["Thing"]["properties"]["count"]["multipleOf"] = 2
        with self.assertRaises(Wrong):
            self.answer()


if __name__ == "__main__":
    unittest.main(verbosity=2)
