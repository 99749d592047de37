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
#include "services/runtime/base/nearest.h"
#include "services/runtime/obs/log.h"

namespace {

namespace fs = std::filesystem;

constexpr char kHelp[] =
    "usage: ./lab bench [section …] [--quick] [--peer envoyproxy-ratelimit [--peer-binary PATH]]\n"
    "\n"
    "Measures what each piece costs, variants in turn, and prints ratios beside the ones the project wants.\n"
    "  store    decisions at the store layer: batching against ten connections\n"
    "  edge     calls over gRPC at 64 outstanding, as a share of a bare echo\n"
    "  load     the load generator: arrivals a second, lag, CPU a call\n"
    "  pieces   single functions\n"
    "  peer     the Go reference service beside ours (only when asked for)\n"
    "\n"
    "  --quick              3 rounds of 1 s instead of 5 of 2 s\n"
    "  --peer NAME          adds the section peer; NAME is envoyproxy-ratelimit\n"
    "  --peer-binary PATH   its binary; without, `go install` fetches and builds it below .lab/\n";

struct Arguments {
  std::vector<std::string> sections;
  lab::bench::Setup setup;
  std::string peer_binary;
};

int Usage(const std::string& problem) {
  std::fprintf(stderr, "lab bench: %s\n\n%s", problem.c_str(), kHelp);
  return 64;
}

// 0, or the exit status of a usage error; -1: help was asked for.
int Parse(int argc, char** argv, Arguments* arguments) {
  const std::vector<std::string> known = {"store", "edge", "load", "pieces", "peer"};
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool more = i + 1 < argc;
    if (word == "--help" || word == "-h") return -1;
    if (word == "--quick") {
      arguments->setup.quick = true;
    } else if (word == "--peer" && more) {
      if (std::string(argv[++i]) != "envoyproxy-ratelimit") return Usage("the only peer is envoyproxy-ratelimit");
      arguments->sections.push_back("peer");
    } else if (word == "--peer-binary" && more) {
      arguments->peer_binary = argv[++i];
    } else if (std::find(known.begin(), known.end(), word) != known.end()) {
      arguments->sections.push_back(word);
    } else {
      return Usage(absl::StrCat("unknown: ", word, lab::Suggestion(word, known)));
    }
  }
  if (arguments->sections.empty()) arguments->sections = {"store", "edge", "load", "pieces"};
  return 0;
}

absl::Status Run(const std::string& section, const Arguments& arguments, lab::bench::Spawner& spawner,
                 const std::string& state) {
  using namespace lab::bench;
  if (section == "store") return BenchStore(arguments.setup);
  if (section == "edge") return BenchEdge(arguments.setup, spawner);
  if (section == "load") return BenchLoad(arguments.setup, spawner);
  if (section == "pieces") return BenchPieces(arguments.setup);
  return BenchPeer(arguments.setup, spawner, arguments.peer_binary, state);
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
  const char* root = std::getenv("LAB_ROOT");
  const fs::path state = (root ? fs::path(root) : build.parent_path().parent_path()) / ".lab";
  arguments.setup.build = build.string();
  arguments.setup.folder = (state / absl::StrCat("bench-", getpid())).string();
  std::error_code error;
  fs::create_directories(arguments.setup.folder, error);
  if (error) {
    std::fprintf(stderr, "lab bench: %s: %s\n", arguments.setup.folder.c_str(), error.message().c_str());
    return 69;
  }
  lab::obs::SetLogLevel(lab::obs::Level::kWarn);  // of the clients in this process: only what goes wrong
  int failed = 0;
  {
    lab::bench::Spawner spawner([](pid_t, const std::string&) { return absl::OkStatus(); });
    for (const std::string& section : arguments.sections) {
      const absl::Status status = Run(section, arguments, spawner, state.string());
      if (status.ok()) continue;
      std::fprintf(stderr, "lab bench: %s: %s\n", section.c_str(), std::string(status.message()).c_str());
      ++failed;
    }
  }
  fs::remove_all(arguments.setup.folder, error);
  return failed == 0 ? 0 : 70;
}
