#!/usr/bin/env python3
"""Effects on the world leave a service through the adapters of the runtime only: failpoints and spans live there. This
reads the sources of services/ and fails on a client library that is used past its adapter."""

import os
import re
import sys
import tempfile
import unittest

SERVICES = os.path.dirname(os.path.abspath(__file__))

# Library → the adapter that may use it, what including it looks like, what calling it looks like.
LIBRARIES = {
    "hiredis": ("runtime/redis", r"hiredis/|hiredis\.h", r"\bredis(Async|Command|Append|Connect|GetReply|Buffer|Free)\w*\s*\("),
    "libpq": ("runtime/pg", r"libpq", r"\bPQ[a-z]\w*\s*\("),
    "librdkafka": ("runtime/kafka", r"librdkafka/", r"\brd_kafka_\w+\s*\(|\bRdKafka::"),
    "gRPC": ("runtime/rpc", r"grpc(pp)?/|\.grpc\.pb\.h", r"\bgrpc::|\bgrpc_\w+\s*\("),
}
TEST_FILE = re.compile(r"_test\.cc$|_testing\.(h|cc)$|_fixture\.h$|^test_\w+\.(h|cc)$")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')


def code_lines(text):
    """The lines without comments and string literals, so that a mention is no use."""
    text = re.sub(r"/\*.*?\*/", lambda found: "\n" * found.group().count("\n"), text, flags=re.S)
    for number, line in enumerate(text.split("\n"), 1):
        include = INCLUDE.match(line)
        if include:
            yield number, include.group(1), ""
        else:
            yield number, "", re.sub(r'"(\\.|[^"\\])*"', '""', re.sub(r"//.*", "", line))


def violations(services):
    """Every direct use as "file:line: what; remedy", sorted."""
    found = []
    for folder, folders, files in os.walk(services):
        folders.sort()
        for name in sorted(files):
            if not name.endswith((".cc", ".h")) or TEST_FILE.search(name):
                continue
            path = os.path.join(folder, name)
            below = os.path.relpath(path, services)
            with open(path, errors="replace") as file:
                text = file.read()
            for number, include, code in code_lines(text):
                for library, (adapter, included, called) in LIBRARIES.items():
                    if below.startswith(adapter + "/"):
                        continue
                    if re.search(included, include) or re.search(called, code):
                        found.append(f"{path}:{number}: {library} is used past its adapter, where no failpoint and no span is; "
                                     f"call lab::{os.path.basename(adapter)} (services/{adapter}) instead")
    return found


class Adapters(unittest.TestCase):
    def test_services_use_client_libraries_through_the_adapters_only(self):
        self.assertEqual(violations(SERVICES), [])

    def test_it_has_read_the_services(self):
        files = [name for _, _, names in os.walk(SERVICES) for name in names if name.endswith(".cc")]
        self.assertGreater(len(files), 50, "the sources are not where this test looks")


class SaysNo(unittest.TestCase):
    """What it must find, and what it must leave alone, in a tree of its own."""

    def check(self, path, text):
        with tempfile.TemporaryDirectory() as services:
            file = os.path.join(services, path)
            os.makedirs(os.path.dirname(file))
            with open(file, "w") as out:
                out.write(text)
            return [line[len(services) + 1:] for line in violations(services)]

    def test_every_library_by_include_and_by_call(self):
        for text in ("#include <hiredis/async.h>\n", "  redisAsyncCommand(context, nullptr, nullptr, x);\n",
                     "#include <libpq-fe.h>\n", "PGresult* r = PQexec(connection, sql);\n",
                     "#include <librdkafka/rdkafka.h>\n", "rd_kafka_produce(topic, 0);\n", "RdKafka::Producer* p;\n",
                     "#include <grpcpp/create_channel.h>\n", "auto c = grpc::CreateChannel(t, k);\n",
                     '#include "lab/x/v1/x.grpc.pb.h"\n'):
            found = self.check("ingest/sink.cc", "// a sink\n" + text)
            self.assertEqual(len(found), 1, text)
            self.assertRegex(found[0], r"^ingest/sink\.cc:2: \w+ is used past its adapter.*call lab::\w+ \(services/runtime/")

    def test_another_adapter_is_no_excuse(self):
        self.assertEqual(len(self.check("runtime/redis/x.cc", "#include <grpcpp/server.h>\n")), 1)
        self.assertEqual(len(self.check("runtime/redis_tools/x.cc", "#include <hiredis/hiredis.h>\n")), 1)

    def test_adapters_tests_and_mentions_are_fine(self):
        self.assertEqual(self.check("runtime/redis/x.cc", "#include <hiredis/hiredis.h>\n"), [])
        self.assertEqual(self.check("ingest/sink_test.cc", "#include <libpq-fe.h>\n"), [])
        self.assertEqual(self.check("ingest/sink.cc", '// not PQexec(…)\n/* grpc::\n grpc:: */ Log("PQexec(x)");\n'), [])
        self.assertEqual(self.check("ingest/sink.cc", '#include "services/runtime/redis/client.h"\nredis::Client c;\n'), [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
