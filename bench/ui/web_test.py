"""The built page is the one that its sources make, and it holds in a browser. Skipped in plain sight where Node, the npm
registry or Chromium is not here.

    python3 bench/ui/web_test.py [Page.test_…]      LAB_BUILD: the build folder; LAB_PICTURES: a folder for screenshots
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get("LAB_BUILD", ROOT / "build" / "release"))
BROWSERS = [os.environ.get("LAB_CHROMIUM", ""), "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
UNREACHABLE = re.compile(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|E40[37]|E50[234]")


def run(*command, cwd, timeout=600):
    return subprocess.run(command, cwd=cwd, timeout=timeout, capture_output=True, text=True, check=False)


class Page(unittest.TestCase):
    """Every test works in a copy of web/ with exactly the packages of package-lock.json."""

    @classmethod
    def setUpClass(cls):
        for program in ("node", "npm"):
            if shutil.which(program) is None:
                raise unittest.SkipTest(f"{program} is not here")
        cls.temporary = tempfile.TemporaryDirectory(prefix="lab-web-")
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.web = pathlib.Path(cls.temporary.name) / "web"
        shutil.copytree(HERE / "web", cls.web, ignore=shutil.ignore_patterns("node_modules"))
        install = run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=cls.web)
        if install.returncode != 0:
            if UNREACHABLE.search(install.stdout + install.stderr):
                raise unittest.SkipTest("the npm registry cannot be reached: " + install.stderr.strip().splitlines()[0])
            raise AssertionError(install.stderr)

    def succeeds(self, *command, timeout=600):
        done = run(*command, cwd=self.web, timeout=timeout)
        self.assertEqual(done.returncode, 0, f"{' '.join(command)}\n{done.stdout[-8000:]}\n{done.stderr[-4000:]}")
        return done.stdout

    def test_is_what_its_sources_make(self):
        self.succeeds("node", "build.mjs", "page.html")
        built = (self.web / "page.html").read_bytes()
        self.assertTrue(built == (HERE / "page.html").read_bytes(),
                        "bench/ui/page.html differs from what its sources make: cd bench/ui/web && npm ci && npm run build")

    def test_a_changed_source_makes_another_page(self):
        source = self.web / "src" / "format.ts"
        text = source.read_text()
        self.addCleanup(source.write_text, text)
        source.write_text(text.replace('"µs"', '"us"'))
        self.succeeds("node", "build.mjs", "other.html")
        self.assertNotEqual((self.web / "other.html").read_bytes(), (HERE / "page.html").read_bytes())

    def test_types(self):
        self.succeeds("node", "node_modules/typescript/bin/tsc", "--noEmit")

    def test_model(self):
        self.succeeds("node", "--test", "test/model_test.mjs")

    def test_in_a_browser(self):
        if not any(path and os.path.exists(path) for path in BROWSERS):
            self.skipTest("no Chromium here: apt-get install chromium")
        sample = BUILD / "bench" / "live" / "live_sample"
        if not sample.exists():
            self.skipTest("live_sample is not built: ninja live_sample")
        reports = sorted(ROOT.glob("labs/*/sample/report.html"))
        self.assertTrue(reports)
        self.succeeds("node", "test/page_test.mjs", str(sample), *map(str, reports), timeout=1500)



if __name__ == "__main__":
    unittest.main(verbosity=2)
