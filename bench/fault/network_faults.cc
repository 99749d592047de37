// Faults of any part's packets, by nftables in a network of the run's own: what is dropped, and every rule, is ours,
// and goes with that network. https://wiki.nftables.org

#include <unistd.h>

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "bench/fault/fault.h"
#include "bench/fault/host_access.h"
#include "bench/host/namespaces.h"
#include "bench/labfile/quantity.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr Millis kSilence{20};
constexpr Millis kAnswer{50};
constexpr Millis kLook{40};
constexpr int kWellAnswers = 3;  // in a row: under loss one may get through

std::string NftProgram() {
  for (const char* path : {"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"}) {
    if (access(path, X_OK) == 0) return path;
  }
  return "";
}

std::string WhyNoNft() {
  if (NftProgram().empty()) return "no nft on this host; apt-get install -y --no-install-recommends nftables";
  return WhyNoNamespaces({.network = true}, {NftProgram(), "add table inet lab_try"});
}

// Drops a share of the packets to and from the ports of a part, in a table that is named after the fault and the part.
class PacketFault : public Fault {
 public:
  PacketFault(const FaultRequest& request, const std::string& action, double share)
      : target_(request.target), share_(share) {
    table_ = Concat("lab_", action, "_", request.target.host() == nullptr ? "" : request.target.host()->OwnName());
    std::replace(table_.begin(), table_.end(), '-', '_');
    const auto way = request.options.find("way");
    if (way != request.options.end()) way_ = way->second;
  }

  absl::Status Prepare() override {
    if (target_.host() == nullptr || !OwnNamespaces().network) {
      return absl::FailedPreconditionError("the run has no network of its own; write \"network: private\" in the lab");
    }
    if (target_.Ask(kAnswer) == Look::kAnswers) return absl::OkStatus();
    return absl::UnavailableError("the part did not answer before the fault");
  }

  // At the receiving side: what is dropped where it is sent would be an error of the sender's.
  absl::Status Apply() override {
    std::string script = Concat("add table inet ", table_, "; add chain inet ", table_,
                                " input { type filter hook input priority 0; policy accept; }");
    const std::string ports = absl::StrJoin(target_.host()->ServedPorts(), ", ");
    const std::string chance =
        share_ >= 1 ? "" : Concat("numgen random mod 1000 < ", static_cast<int>(share_ * 1000 + 0.5), " ");
    for (const auto& [way, field] : {std::pair<const char*, const char*>{"to", "dport"}, {"from", "sport"}}) {
      if (way_ != "both" && way_ != way) continue;
      script += Concat("; add rule inet ", table_, " input tcp ", field, " { ", ports, " } ", chance, "counter drop");
    }
    return Nft(script).status();
  }

  // Unanswered, and the kernel says that it dropped something: a busy host is no loss of packets.
  std::optional<std::string> Seen() override {
    const Clock::time_point end = Clock::now() + kLook;
    bool silent = false;
    do {
      silent = target_.Ask(kSilence) == Look::kSilent;
    } while (!silent && share_ < 1 && Clock::now() < end);
    if (!silent) return std::nullopt;
    const std::optional<uint64_t> dropped = Dropped();
    if (!dropped || *dropped == 0) return std::nullopt;
    return Concat("unanswered for ", kSilence.count(), " ms, ", *dropped, " packets dropped");
  }

  absl::Status Heal() override {
    if (target_.host() == nullptr || !OwnNamespaces().network || !Dropped()) return absl::OkStatus();
    return Nft(Concat("delete table inet ", table_)).status();
  }
  bool Healed() override {
    for (int i = 0; i < kWellAnswers; ++i) {
      if (target_.Ask(kAnswer) != Look::kAnswers) return false;
    }
    return !Dropped();
  }

 private:
  absl::StatusOr<std::string> Nft(const std::string& script) {
    return target_.host()->Capture(NftProgram(), {"nft", script});
  }
  // How many packets the table has dropped; nothing when there is no such table.
  std::optional<uint64_t> Dropped() {
    const absl::StatusOr<std::string> listing = Nft(Concat("list table inet ", table_));
    if (!listing.ok()) return std::nullopt;
    uint64_t packets = 0;
    const std::string label = "counter packets ";
    for (size_t at = listing->find(label); at != std::string::npos; at = listing->find(label, at + 1)) {
      const size_t begin = at + label.size();
      uint64_t count = 0;
      if (absl::SimpleAtoi(listing->substr(begin, listing->find(' ', begin) - begin), &count)) packets += count;
    }
    return packets;
  }

  FaultTarget& target_;
  const double share_;
  std::string table_;
  std::string way_ = "both";
};

std::unique_ptr<Fault> MakePartition(const FaultRequest& request) {
  return std::make_unique<PacketFault>(request, "partition", 1.0);
}

std::unique_ptr<Fault> MakeLoss(const FaultRequest& request) {
  const auto share = request.options.find("share");
  return std::make_unique<PacketFault>(request, "packet_loss",
                                       share == request.options.end() ? 0.3 : ShareOf(share->second).value_or(0.3));
}

}  // namespace

std::vector<FaultKind> NetworkFaults() {
  const FaultOption way{"way", "both", "which packets of its ports are dropped", {"both", "to", "from"}};
  FaultKind partition{
      "",    "partition", "all packets to and from its ports are dropped: connections stand, nothing arrives",
      false, {way},       &MakePartition};
  FaultKind loss{"",
                 "packet_loss",
                 "a share of the packets to and from its ports is dropped",
                 false,
                 {{"share", "30%", "of the packets", {}, &WrongShare}, way},
                 &MakeLoss};
  for (FaultKind* kind : {&partition, &loss}) {
    kind->why_not_here = &WhyNoNft;
    kind->needs = "network";
  }
  return {std::move(partition), std::move(loss)};
}

}  // namespace lab::bench
