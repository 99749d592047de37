"""Tests that run labs: a host that is too busy for a verdict, told from a lab that gives none.

A quick run that ends inconclusive is tried once more, as soon as the host is calm. When that is inconclusive too and the
host alone is to blame, by the run's own result.json, the test is *undecided*: it ends with Undecided, one line
`UNDECIDED <test>: <reason>` and its ctest entry as skipped. Any other inconclusive run is left to the test, which fails.

`main()` in place of unittest.main() also writes one line a verdict, undecided test and skipped test to the file that
LAB_VERDICTS names, each with the ctest entry (LAB_ENTRY) it came from: `DECIDED|UNDECIDED|SKIPPED <entry> <text>`. From
there tests/run and .ci/run tell.
"""

import glob
import json
import os
import sys
import time
import unittest

INCONCLUSIVE = 2
LOOK_SECONDS = 3
CALM_STEAL = 0.01  # of the CPU time of all cores
CALM_LOAD = 0.1    # the same; nothing of ours runs while we wait
WAIT_RETRY = 60    # seconds before one retry
WAIT_ALL = 300     # seconds in all of one test process

_MARK = "undecided: "
_waited = 0.0


class Undecided(unittest.SkipTest):
    """The host kept a lab from its verdict, twice."""

    def __init__(self, reason):
        super().__init__(_MARK + reason)


def cpu_times(path="/proc/stat"):
    """(all, idle, stolen) ticks of all cores since boot."""
    with open(path) as file:
        user, nice, system, idle, iowait, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return user + nice + system + idle + iowait + irq + softirq + steal, idle + iowait, steal


def is_calm(before, after):
    """Whether the host between two readings of cpu_times() is one that a run could be judged on."""
    total = after[0] - before[0]
    if total <= 0:
        return False
    stolen = (after[2] - before[2]) / total
    busy = 1 - (after[1] - before[1]) / total - stolen
    return stolen < CALM_STEAL and busy < CALM_LOAD


def wait_until_calm(times=cpu_times, sleep=time.sleep):
    """Waits for three calm seconds, within bounds. Returns whether they came."""
    global _waited
    for _ in range(WAIT_RETRY // LOOK_SECONDS):
        if _waited + LOOK_SECONDS > WAIT_ALL:
            return False
        before = times()
        sleep(LOOK_SECONDS)
        _waited += LOOK_SECONDS
        if is_calm(before, times()):
            return True
    return False


def newest_result(state, since):
    """The result.json (of a sweep sweep.json) of the newest run below a state folder; None where none was written since then."""
    found = [path for name in ("result.json", "sweep.json") for path in glob.glob(os.path.join(state, "runs", "*", "*", name))
             if os.path.basename(os.path.dirname(path)) != "latest" and os.path.getmtime(path) >= since]
    if not found:
        return None
    with open(max(found, key=os.path.getmtime)) as file:
        return json.load(file)


def why_points_lack_evidence(sweep):
    """The same of a sweep: each block without a value belongs to a trial that only the host disturbed."""
    blamed = set()
    for point in sweep["points"]:
        if not set(point["problems"]) <= set(point["host_problems"]):
            return None
        blamed |= {problem.partition(": ")[2] for problem in point["host_problems"]}
    whys = [block["why"] for point in sweep["points"] for value in point["values"] for block in value["blocks"]
            if block["value"] is None]
    if not whys or not all(any(problem in why for problem in blamed) for why in whys):
        return None
    return "; ".join(sorted(blamed))


def why_undecided(result):
    """What the host did to this inconclusive run, if it alone is to blame; None if anything else is amiss.

    It kept the run from a knee, so that there are no trials. Or: every trial ran to its end, has no problem that is not the host's, and each of its faults has its receipt; every
    check without enough evidence lacks that of a trial that the host disturbed.
    """
    if "points" in result:
        return why_points_lack_evidence(result) if result["exit_status"] == INCONCLUSIVE else None
    if result["exit_status"] != INCONCLUSIVE or result["verdict"]["state"] != "inconclusive":
        return None
    knee = result.get("knee") or {}
    if not result["trials"] and knee.get("host_problems") and knee["per_s"] is None:
        return "; ".join(sorted(set(knee["host_problems"])))
    blamed = []  # (variant, problem)
    for trial in result["trials"]:
        of_host = trial.get("host_problems", [])
        if not trial["complete"] or not set(trial["problems"]) <= set(of_host):
            return None
        for fault in trial["faults"]:
            healed = fault["heal_asked_s"] is None or fault["healed_s"] is not None
            if fault["error"] or fault["applied_s"] is None or fault["seen_s"] is None or not healed:
                return None
        blamed += [(trial["variant"], problem) for problem in of_host + trial.get("cautions", [])]
    verdict = result["verdict"]
    unclear = [(f["variant"], f["why"]) for f in verdict["findings"] if f["state"] == "inconclusive" and not f["control"]]
    unclear += [(c["variant"], c["text"]) for c in verdict["catches"] if c["state"] == "inconclusive"]
    for about, why in unclear:
        if not any(problem in why and about in ("", variant) for variant, problem in blamed):
            return None
    return "; ".join(sorted({problem for _, problem in blamed})) if unclear else None


def note(kind, text):
    path = os.environ.get("LAB_VERDICTS")
    if path:
        with open(path, "a") as file:
            file.write(f"{kind} {os.environ.get('LAB_ENTRY', '-')} {' '.join(text.split())}\n")


def run_to_a_verdict(run, state, name, needed=True):
    """`run()` a lab whose runs are below `state`, once more where it stays inconclusive; returns how it ended.

    Raises Undecided as told above, unless no verdict is `needed`.
    """
    since = time.time()
    done = run()
    if done.returncode == INCONCLUSIVE:
        calm = wait_until_calm()
        print(f"{name}: inconclusive, tried once more on a host that {'is calm' if calm else 'stays busy'}:\n"
              f"{done.stdout[-1500:]}", file=sys.stderr)
        since = time.time()
        done = run()
    if done.returncode in (0, 1):
        note("DECIDED", f"{name}: {('pass', 'fail')[done.returncode]}")
    if done.returncode == INCONCLUSIVE and needed:
        result = newest_result(state, since)
        reason = result and why_undecided(result)
        if reason:
            raise Undecided(f"{name}: {reason}")
    return done


class Result(unittest.TextTestResult):
    """Keeps undecided tests apart from those that were skipped because something is not there."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.undecided = []

    def addSkip(self, test, reason):
        name = test.id().removeprefix("__main__.")
        if reason.startswith(_MARK):
            line = f"{name}: {reason.removeprefix(_MARK)}"
            self.undecided.append(line)
            note("UNDECIDED", line)
            self.stream.writeln(f"UNDECIDED {line}")
        else:
            note("SKIPPED", f"{name}: {reason}")
            super().addSkip(test, reason)


def main(arguments=None):
    """unittest.main() that ends in `OK (undecided=…)` where nothing failed and something is undecided."""
    runner = unittest.TextTestRunner(verbosity=2, resultclass=Result)
    result = unittest.main(module="__main__", argv=arguments, testRunner=runner, exit=False).result
    if result.undecided and result.wasSuccessful():
        print(f"OK (undecided={len(result.undecided)})", file=sys.stderr)
    sys.exit(0 if result.wasSuccessful() and (result.testsRun or result.skipped) else 1)


if __name__ == "__main__":  # for tests/run: `verdicts.py STATE SINCE` tells why the newest run is undecided, or ends with 1
    newest = newest_result(sys.argv[1], float(sys.argv[2]))
    blame = newest and why_undecided(newest)
    print(blame or "")
    sys.exit(0 if blame else 1)
