// ./lab bench: see README.md here.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/micro/sections.h"
#include "bench/micro/trace_replay.h"
#include "bench/run/run_folder.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/obs/log.h"

namespace {

namespace fs = std::filesystem;

constexpr int kUsage = 64, kNotCompleted = 70;

constexpr char kHelp[] =
    "usage: ./lab bench [section …] [--quick]\n"
    "                   [--peer envoyproxy-ratelimit [--peer-binary PATH] [--client PATH]]\n"
    "\n"
    "Measures what each piece costs, variants in turn, and prints ratios beside the ones the project wants.\n"
    "  store    decisions at the store layer: batching against ten connections\n"
    "  edge     calls over gRPC at 64 outstanding, as a share of a bare echo\n"
    "  load     the load generator: arrivals a second, lag, CPU a call\n"
    "  proxy    the fault proxy without a toxic: what it adds, how much it carries\n"
    "  postgres operations by the PostgreSQL adapter: one Sync a turn against one in flight a connection\n"
    "  cache    hits of the cache-aside API as a share of bare servers, and what a lease adds to a miss\n"
    "  hits     hit ratio by eviction policy and size, on Zipf loads or on a trace\n"
    "  pieces   single functions\n"
    "  peer     the Go reference service beside ours (only when asked for)\n"
    "\n"
    "  --quick              3 pairs of 0.5 s instead of 9 of 0.7 s\n"
    "  --peer NAME          adds the section peer; NAME is envoyproxy-ratelimit\n"
    "  --peer-binary PATH   its binary; without, `go install` fetches and builds it below .lab/\n"
    "  --trace FILE         section hits on this trace: ARC's .lis, libCacheSim's oracleGeneral, or a key a line;\n"
    "                       .zst needs zstd. --trace-format arc|keys|oracle_general where its name does not tell\n"
    "  --client PATH        drives both by another closed-loop client: it is called with\n"
    "                       <host:port> <domain> <descriptor key> <keys> <outstanding> <seconds>\n"
    "                       and prints rps=N p50=Nus p99=Nus ok=N over=N err=N\n"
    "\n"
    "Exit status: 0 everything was measured, 64 usage, 70 something could not be, or Ctrl-C.\n";

struct Arguments {
  std::vector<std::string> sections;
  bool quick = false;
  lab::bench::PeerOptions peer;
  lab::bench::TraceOptions trace;
};

int Usage(const std::string& problem) {
  std::fprintf(stderr, "lab bench: %s\n\n%s", problem.c_str(), kHelp);
  return kUsage;
}

// 0, or the exit status of a usage error; -1: help was asked for.
int Parse(int argc, char** argv, Arguments* arguments) {
  const std::vector<std::string> known = {"store", "edge", "load",   "proxy", "postgres",
                                          "cache", "hits", "pieces", "peer"};
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool more = i + 1 < argc;
    if (word == "--help" || word == "-h") return -1;
    if (word == "--quick") {
      arguments->quick = true;
    } else if (word == "--peer" && more) {
      if (std::string(argv[++i]) != "envoyproxy-ratelimit") return Usage("the only peer is envoyproxy-ratelimit");
      arguments->sections.push_back("peer");
    } else if (word == "--peer-binary" && more) {
      arguments->peer.binary = argv[++i];
    } else if (word == "--trace" && more) {
      arguments->trace.path = argv[++i];
    } else if (word == "--trace-format" && more) {
      arguments->trace.format = argv[++i];
    } else if (word == "--client" && more) {
      arguments->peer.client = argv[++i];
    } else if (std::find(known.begin(), known.end(), word) != known.end()) {
      arguments->sections.push_back(word);
    } else {
      return Usage(absl::StrCat("unknown: ", word, lab::Suggestion(word, known)));
    }
  }
  const bool peer = std::count(arguments->sections.begin(), arguments->sections.end(), "peer") > 0;
  for (const std::string& path : {arguments->peer.binary, arguments->peer.client}) {
    if (path.empty()) continue;
    if (!peer) return Usage("--peer-binary and --client belong to --peer envoyproxy-ratelimit");
    if (access(path.c_str(), X_OK) != 0) return Usage(absl::StrCat(path, ": no program"));
  }
  const std::string& format = arguments->trace.format;
  if (!format.empty() && !lab::bench::TraceFormatOf(format)) {
    return Usage("--trace-format is one of arc, keys, oracle_general");
  }
  if (!format.empty() && arguments->trace.path.empty()) return Usage("--trace-format belongs to --trace");
  if (!arguments->trace.path.empty() && access(arguments->trace.path.c_str(), R_OK) != 0) {
    return Usage(absl::StrCat(arguments->trace.path, ": cannot be read"));
  }
  if (arguments->sections.empty() && !arguments->trace.path.empty()) arguments->sections = {"hits"};
  if (arguments->sections.empty())
    arguments->sections = {"store", "edge", "load", "proxy", "postgres", "cache", "hits", "pieces"};
  return 0;
}

absl::Status Run(const std::string& section, const lab::bench::Setup& setup, const Arguments& arguments) {
  using namespace lab::bench;
  if (section == "store") return BenchStore(setup);
  if (section == "edge") return BenchEdge(setup);
  if (section == "load") return BenchLoad(setup);
  if (section == "proxy") return BenchProxy(setup);
  if (section == "cache") return BenchCache(setup);
  if (section == "hits") return BenchHits(arguments.trace);
  if (section == "postgres") return BenchPostgres(setup);
  if (section == "pieces") return BenchPieces(setup);
  return BenchPeer(setup, arguments.peer);
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (const int status = Parse(argc, argv, &arguments); status != 0) {
    if (status > 0) return status;
    std::fputs(kHelp, stdout);
    return 0;
  }
  const fs::path build = fs::canonical("/proc/self/exe").parent_path().parent_path().parent_path();
  const char* given = std::getenv("LAB_ROOT");
  const std::string root = given != nullptr ? given : build.parent_path().parent_path().string();
  const auto workspace = lab::bench::Workspace::Open(root);
  if (!workspace.ok()) {
    std::fprintf(stderr, "lab bench: %s\n", std::string(workspace.status().message()).c_str());
    return kNotCompleted;
  }
  lab::obs::SetLogLevel(lab::obs::Level::kWarn);  // of the clients in this process: only what goes wrong
  const lab::bench::Setup setup{**workspace, root, build.string(), lab::bench::StateFolder(root), arguments.quick};
  int exit_status = 0;
  for (const std::string& section : arguments.sections) {
    const absl::Status status = Run(section, setup, arguments);
    if (status.ok()) continue;
    std::fprintf(stderr, "lab bench: %s: %s\n", section.c_str(), std::string(status.message()).c_str());
    exit_status = kNotCompleted;
  }
  return exit_status;
}
