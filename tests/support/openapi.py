"""Holds answers against an OpenAPI 3.1 document, and the document against the answers: what it promises and nobody has
seen is as wrong as what is answered and nobody has promised. Only the keywords of our documents; any other is an error."""

import json
import re

# What an answer may carry without the document's saying so.
PLAIN = {"date", "content-length", "content-type", "connection"}
ANNOTATIONS = {"description", "default"}


class Wrong(AssertionError):
    pass


class Contract:
    def __init__(self, document):
        self.document = document
        self.promised, self.seen = set(), set()
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                for status, answer in operation["responses"].items():
                    place = (method.upper(), path, int(status))
                    self.promised.add(place)
                    for name, header in answer.get("headers", {}).items():
                        self.promised.add((*place, "header " + name))
                        # What a header may say has to be said by some answer.
                        self.promised.update(("header", name, value) for value in self.resolve(header)["schema"].get("enum", ()))
                    for media, content in answer.get("content", {}).items():
                        self._promise(content["schema"], (*place, media))
                body = operation.get("requestBody", {}).get("content", {})
                for media, content in body.items():
                    self._promise(content["schema"], (method.upper(), path, "request", media))

    def resolve(self, part):
        while "$ref" in part:
            target = self.document
            for step in part["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            part = target
        return part

    def _promise(self, schema, place):
        for name, inner in self.resolve(schema).get("properties", {}).items():
            self.promised.add((*place, "property " + name))
            self._promise(inner, (*place, name))

    def unseen(self):
        return sorted(map(str, self.promised - self.seen))

    def path_of(self, path):
        """The template that a path of a request is of."""
        path = path.split("?")[0]
        for template in self.document["paths"]:
            pattern = "".join("[^/]+" if part.startswith("{") else re.escape(part)
                              for part in re.split(r"(\{[^}]*\})", template))
            if re.fullmatch(pattern, path):
                return template
        raise Wrong(f"{path} is no path of the document")

    def request(self, method, path, body):
        """A body that the document says can be sent."""
        for media, content in self.document["paths"][self.path_of(path)][method.lower()]["requestBody"]["content"].items():
            self._check(content["schema"], json.loads(body), (method, self.path_of(path), "request", media))

    def answer(self, method, path, status, headers, body):
        template = self.path_of(path)
        place = (method, template, status)
        operation = self.document["paths"][template].get(method.lower())
        promised = operation and operation["responses"].get(str(status))
        if not promised:
            raise Wrong(f"{place}: the document does not know such an answer: {body[:300]}")
        self.seen.add(place)
        self._headers(promised.get("headers", {}), headers, place)
        contents = promised.get("content", {})
        if not contents:
            if body:
                raise Wrong(f"{place}: a body, and none was promised: {body[:300]}")
            return
        media = headers.get("content-type", "").split(";")[0]
        if media not in contents:
            raise Wrong(f"{place}: content type {media!r}, promised {sorted(contents)}")
        value = json.loads(body) if media.endswith("json") else body.decode()
        self._check(contents[media]["schema"], value, (*place, media))

    def _headers(self, promised, headers, place):
        known = {name.lower() for name in promised}
        unknown = set(headers) - known - PLAIN
        if unknown:
            raise Wrong(f"{place}: headers {sorted(unknown)} were not promised")
        for name, header in promised.items():
            header = self.resolve(header)
            value = headers.get(name.lower())
            if value is None:
                if header.get("required"):
                    raise Wrong(f"{place}: there is no header {name}: {headers}")
                continue
            self.seen.update([(*place, "header " + name), ("header", name, value)])
            self._check(header["schema"], value, (*place, name))

    def _check(self, schema, value, place):
        """The subset of JSON Schema (2020-12) that our documents use."""
        schema = self.resolve(schema)
        types = {"object": dict, "string": str, "integer": int, "number": (int, float), "boolean": bool}
        for keyword, wanted in schema.items():
            if keyword in ANNOTATIONS or keyword in ("properties", "additionalProperties"):
                continue
            if keyword == "type":
                right = isinstance(value, types[wanted]) and isinstance(value, bool) == (wanted == "boolean")
            elif keyword == "enum":
                right = value in wanted
            elif keyword == "minimum":
                right = value >= wanted
            elif keyword == "maximum":
                right = value <= wanted
            elif keyword == "minLength":
                right = len(value) >= wanted
            elif keyword == "maxLength":
                right = len(value) <= wanted
            elif keyword == "pattern":
                right = re.search(wanted, value) is not None
            elif keyword == "required":
                right = all(name in value for name in wanted)
            else:
                raise Wrong(f"{place}: this test does not know the keyword {keyword!r}")
            if not right:
                raise Wrong(f"{place}: {value!r} is not of {keyword}: {wanted!r}")
        properties = schema.get("properties", {})
        if isinstance(value, dict) and schema.get("additionalProperties", True) is False:
            more = set(value) - set(properties)
            if more:
                raise Wrong(f"{place}: {sorted(more)} were not promised")
        for name, inner in properties.items():
            if name in value:
                self.seen.add((*place, "property " + name))
                self._check(inner, value[name], (*place, name))
