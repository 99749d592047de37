#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/labfile/lab.h"
#include "bench/observe/observer.h"
#include "bench/run/journal.h"
#include "bench/run/part.h"
#include "bench/run/runner.h"

namespace lab::bench {

// part → configuration
using Settings = std::map<std::string, std::map<std::string, std::string>>;
// What the lab's system sets of a part, and these over it, in rising order of rank.
std::map<std::string, std::string> ConfigurationOf(const PartSpec& spec, const std::vector<Settings>& layers);
// "replicas" may be set like configuration; it is the runner's, not the part's: taken out of `set`.
PartSpec WithReplicas(PartSpec spec, std::map<std::string, std::string>& set);

// The system under test of one trial: all parts with all replicas, started in order, stopped in reverse.
class System {
 public:
  struct Options {
    std::string root;
    std::string trial_folder;        // logs/ and config/ are made in it
    std::string data_folder;         // made, and removed with everything in it
    std::vector<Settings> settings;  // over what the lab's system sets: the later ones win
    std::function<bool()> interrupted;
  };
  System(const Lab& lab, Options options, Spawner& spawner, Journal& journal);
  ~System();

  absl::Status Start(Progress& progress);
  // What did not end by itself, a line each. Brief: the patience of somebody who pressed Ctrl-C.
  std::vector<std::string> Stop(bool brief);

  // In the order of Describe and of their start.
  const std::vector<std::unique_ptr<Part>>& parts() const { return parts_; }
  Part* Find(const std::string& name, int replica) const;
  // "ratelimit.grpc" → the addresses of the port that serves that target, of all replicas of the part, or the kind of
  // part, of that name.
  std::vector<std::string> Endpoints(const std::string& target) const;
  std::vector<PartInfo> Describe() const;
  std::vector<Observed> Sources() const;
  std::map<std::string, double> FinalReads() const;
  // What the parts that keep copies have of what was written, now that these loads have ended; absent: there is no such
  // part. `written` and `tell` as in RestRequest.
  std::optional<AtRest> ReadAtRest(const std::vector<LoadSpec>& loads, const std::map<uint32_t, uint64_t>& written = {},
                                   std::function<void(const std::string&)> tell = {}) const;
  std::vector<std::string> UnaskedEnds();
  uint64_t OwnOomKills() const;  // that faults asked for
  void BoundLogs();

 private:
  void FromCheckout(std::string& word) const;
  absl::Status StartPart(const PartSpec& spec, Progress& progress);
  absl::Status StartLink(const LinkSpec& link, const PartSpec& to, Progress& progress);
  // On a disk of its own of so many bytes, if any.
  absl::Status StartReplica(Part& part, LaunchRequest request, uint64_t disk_bytes, Progress& progress);
  // Where the connections of a part go: kind → ports of the first part of that kind, or of the link to it.
  std::map<std::string, Ports> OthersOf(const std::string& part) const;
  absl::StatusOr<std::map<std::string, std::string>> Configure(const PartSpec& spec) const;

  const Lab& lab_;
  const Options options_;
  const Build build_;
  Spawner& spawner_;
  Journal& journal_;
  std::vector<std::unique_ptr<PartKind>> link_kinds_;  // before parts_, which use them
  std::vector<std::unique_ptr<Part>> parts_;
  std::map<std::string, std::map<std::string, std::string>> changed_;  // part → what differs from its defaults
  std::map<std::string, std::string> versions_;
};

}  // namespace lab::bench
