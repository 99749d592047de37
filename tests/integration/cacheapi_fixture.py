"""What the tests of the cache-aside API share: one PostgreSQL and one Redis a program, a process of the service a test."""

import atexit
import json
import os
import shutil
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cacheapi import Cache, CacheApi, Postgres, postgres_programs  # noqa: E402
from processes import temporary_folder  # noqa: E402

ARABIC = "شركة"
# Brands b0 … b299 for tests that need many; each has one post, acme has three. The commit of a new brand "slow-…" takes 3 s.
SEED = f"""
INSERT INTO brand SELECT name, name FROM unnest(ARRAY['acme', 'other', '{ARABIC}']) AS name;

INSERT INTO brand SELECT 'b' || n, 'b' || n FROM generate_series(0, 299) AS n;

INSERT INTO brand_state (brand_id) SELECT id FROM brand;

INSERT INTO post (brand_id, published_at, language, sentiment, likes, author)
SELECT id, clock_timestamp() - interval '1 minute', CASE WHEN n = 1 THEN 'ar' ELSE 'en' END, 10 * n, n, n
FROM brand, generate_series(1, 3) AS n WHERE n = 1 OR id = 'acme';

CREATE FUNCTION slow_commit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(3); RETURN NULL; END';

CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON brand DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.id LIKE 'slow-%') EXECUTE FUNCTION slow_commit()"""


class Stores:
    """Started when first asked for, gone with the program."""

    _made = None

    @classmethod
    def get(cls):
        if cls._made is None:
            cls._made = cls()
            atexit.register(cls._made.close)
        return cls._made

    def __init__(self):
        self.folder = temporary_folder()
        self.parts = []
        try:
            self.postgres = self._keep(Postgres(self.folder, SEED))
            self.redis = self._keep(Cache(self.folder))
        except BaseException:
            self.close()
            raise

    def _keep(self, part):
        self.parts.append(part)
        return part

    def close(self):
        for part in reversed(self.parts):
            part.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class ServiceTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not postgres_programs():
            raise unittest.SkipTest("no PostgreSQL server here (postgres and initdb below /usr/lib/postgresql); ./lab list gets one")
        stores = Stores.get()
        cls.postgres, cls.redis = stores.postgres, stores.redis

    def setUp(self):
        self.folder = temporary_folder()
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.redis.command("FLUSHALL")

    def start(self, *settings, **arguments):
        service = CacheApi(self.folder, arguments.pop("postgres_port", self.postgres.port),
                           arguments.pop("redis_port", self.redis.port), settings, **arguments)
        self.addCleanup(service.close)
        return service

    def assert_problem(self, answer, status, word=""):
        """That the answer is a problem of this status whose detail has the word in it."""
        self.assertEqual(answer[0], status, answer)
        self.assertEqual(answer[1].get("content-type"), "application/problem+json")
        problem = json.loads(answer[2])
        self.assertEqual(problem["status"], status)
        self.assertIn(word, problem["detail"])
